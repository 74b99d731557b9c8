package completion

import "testing"

// TestTrim takes many buffers at once and sees their memory go when they have
// not been needed for two periods.
func TestTrim(t *testing.T) {
	backends := Backends() // the last takes buffers only when it has something for them
	p, err := New(Options{Workers: 1, Backend: backends[len(backends)-1], MaxBuffers: 200, BufferSize: 4096})
	if err != nil {
		t.Fatal(err)
	}
	w := p.workers[0]
	err = w.Call(func() {
		pool := &w.buffers
		var taken []*Buffer
		for b := pool.get(); b != nil; b = pool.get() {
			b.mem[0] = 1
			taken = append(taken, b)
		}
		if len(taken) != 200 || pool.backed != 200 {
			t.Errorf("%d buffers, %d with memory", len(taken), pool.backed)
		}
		for _, b := range taken {
			b.Release()
		}
		pool.trim() // they were needed in this period
		if pool.backed != 200 {
			t.Errorf("%d buffers have memory after the period in which all were used", pool.backed)
		}
		for want := 200 - trimBatch; want > 0; want -= trimBatch {
			pool.trim()
			if pool.backed != want {
				t.Errorf("%d buffers have memory, want %d", pool.backed, want)
			}
		}
		pool.trim()
		if b := pool.get(); pool.backed != 1 || b.mem[0] != 1 && b.mem[0] != 0 {
			t.Errorf("%d buffers have memory after one was taken again", pool.backed)
		} else {
			b.Release()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
