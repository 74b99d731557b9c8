package completiontest

import "fwx/framework/completion"

var layerRows = []row{
	{name: "layers/complete", test: layerCompletes},
	{name: "layers/cancel", test: layerCancelled},
	{name: "layers/shutdown", test: layerShutdown},
	{name: "layers/no buffer is left", test: layerBuffers, options: completion.Options{MaxBuffers: 1}},
}

// layer lets go of what is cancelled, or completes it itself.
type layer struct {
	keeps     bool
	withdrawn int
}

func (l *layer) Withdraw(o *completion.Overlapped) bool {
	l.withdrawn++
	if l.keeps {
		o.Complete(nil, 3, nil)
	}
	return !l.keeps
}

func (l *layer) begin(o *completion.Overlapped) error { return o.Worker().Begin(o, l) }

func layerCompletes(r *rig) {
	p := r.op()
	for _, text := range []string{"once", "and again"} {
		p.begin((&layer{}).begin)
		r.is(p.try((&layer{}).begin), completion.ErrBusy)
		r.on(func() {
			b := r.w.NewBuffer()
			b.Fill(copy(b.Space(), text))
			p.o.Complete(b, len(text), nil)
		})
		if res := p.ok(); string(res.data) != text || res.n != len(text) {
			r.Errorf("%d bytes: %q", res.n, res.data)
		}
	}
	p.begin((&layer{}).begin)
	r.on(func() { p.o.Complete(nil, 0, completion.ErrHandleEOF) })
	r.is(p.wait().err, completion.ErrHandleEOF)
}

func layerCancelled(r *rig) {
	p, l := r.op(), &layer{}
	p.begin(l.begin)
	r.must(p.cancel())
	p.aborted()
	l.keeps = true
	p.begin(l.begin)
	r.must(p.cancel())
	if res := p.ok(); res.n != 3 || l.withdrawn != 2 {
		r.Errorf("%d bytes after %d withdrawals", res.n, l.withdrawn)
	}
}

func layerShutdown(r *rig) {
	p := r.op().begin((&layer{}).begin)
	r.shutdown()
	p.aborted()
}

// layerBuffers has a layer take more buffers than there are.
func layerBuffers(r *rig) {
	r.on(func() {
		all := make([]*completion.Buffer, 0, 3)
		for range cap(all) {
			b := r.w.NewBuffer()
			if len(b.Space()) == 0 || len(b.Bytes()) != 0 {
				r.Errorf("a new buffer with %d bytes and room for %d", len(b.Bytes()), len(b.Space()))
			}
			all = append(all, b)
		}
		for _, b := range all {
			b.Release()
		}
	})
}
