package balance

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// TestRoundRobin sees that each server has its share in every round, and that its turns
// are apart.
func TestRoundRobin(t *testing.T) {
	for _, test := range []struct {
		weights []int
		longest int // run of one server
	}{
		{[]int{1}, 1000},
		{[]int{1, 1, 1}, 1},
		{[]int{4, 4, 4}, 1},
		{[]int{2, 1}, 2},
		{[]int{5, 1, 1}, 3},
		{[]int{3, 2, 1}, 2},
		{[]int{10, 20, 30, 40}, 2},
		{[]int{256, 255, 1}, 3},
	} {
		t.Run(fmt.Sprint(test.weights), func(t *testing.T) {
			u := newRig(t).begin(Config{}, targets(test.weights...), nil)
			round := len(u.table.Load().tiers[0].turns)
			sum := 0
			for _, w := range test.weights {
				sum += w
			}
			got := make([]int, len(test.weights))
			run, last := 0, 0
			for range 3 * round {
				n := choose(t, u, 0)
				got[n-1]++
				if n != last {
					run, last = 0, n
				}
				if run++; run > test.longest && len(got) > 1 {
					t.Fatalf("server %d had %d turns in a row", n, run)
				}
			}
			for i, w := range test.weights {
				if got[i]*sum != 3*round*w {
					t.Errorf("server %d of weight %d had %d turns of %d", i+1, w, got[i], 3*round)
				}
			}
		})
	}
}

// TestManyWeights sees that there are never too many turns, and that none is left out.
func TestManyWeights(t *testing.T) {
	weights := make([]uint32, MaxServers)
	for i := range weights {
		weights[i] = uint32(1 + i%MaxWeight*100)
	}
	turns := spread(weights)
	if len(turns) > maxTurns+MaxServers {
		t.Errorf("%d turns", len(turns))
	}
	for i := range weights {
		if !slices.Contains(turns, uint16(i)) {
			t.Errorf("server %d has no turn", i)
		}
	}
}

// TestLeastConnections has many goroutines choose at a time: none may be wrong by one.
func TestLeastConnections(t *testing.T) {
	for _, test := range []struct{ weights, want []int }{
		{[]int{1, 1, 1}, []int{100, 100, 100}},
		{[]int{1, 2, 3}, []int{50, 100, 150}},
	} {
		u := newRig(t).begin(Config{Balance: LeastConnections}, targets(test.weights...), nil)
		var choosing sync.WaitGroup
		for range 300 {
			choosing.Go(func() {
				if _, err := u.Choose(0, nil); err != nil {
					t.Error(err)
				}
			})
		}
		choosing.Wait()
		for i, want := range test.want {
			if got := serverAt(t, u, i+1).active.Load(); got != int64(want) {
				t.Errorf("server %d has %d connections, not %d", i+1, got, want)
			}
		}
		for range 10 {
			serverAt(t, u, 2).Release()
		}
		for range 10 {
			if n := choose(t, u, 0); n != 2 {
				t.Errorf("server %d was chosen, not the one that has become free", n)
			}
		}
	}
}

// TestMaxConnections sees that no server ever has more than it may, and that all places
// are found.
func TestMaxConnections(t *testing.T) {
	for _, balance := range Balances() {
		t.Run(balance, func(t *testing.T) {
			list := targets(1, 2, 3)
			list[2].Backup = true
			u := newRig(t).begin(Config{Balance: balance, MaxConnections: 20}, list, nil)
			var mu sync.Mutex
			taken, refused := 0, 0
			var choosing sync.WaitGroup
			for i := range 100 {
				choosing.Go(func() {
					_, err := u.Choose(Key(strconv.Itoa(i)), nil)
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						taken++
					case errors.Is(err, ErrFull):
						refused++
					default:
						t.Error(err)
					}
				})
			}
			choosing.Wait()
			if taken != 60 || refused != 40 {
				t.Errorf("%d taken, %d refused", taken, refused)
			}
			serverAt(t, u, 2).Release()
			if n := choose(t, u, 1); n != 2 {
				t.Errorf("server %d was chosen, not the one with a place", n)
			}
		})
	}
}

// TestTried sees that a server that was tried in vain is not chosen again, and that
// backups come last.
func TestTried(t *testing.T) {
	for _, balance := range Balances() {
		t.Run(balance, func(t *testing.T) {
			list := targets(1, 1, 1, 1)
			list[1].Backup = true
			u := newRig(t).begin(Config{Balance: balance}, list, nil)
			for key := range uint64(20) {
				tried := make([]*Server, 0, len(list))
				for range list {
					s, err := u.Choose(key, tried)
					must(t, err)
					if slices.Contains(tried, s) {
						t.Fatalf("server %d was chosen twice", number(s))
					}
					tried = append(tried, s)
				}
				if number(tried[3]) != 2 {
					t.Errorf("the backup was not the last: it was server %d", number(tried[3]))
				}
				if _, err := u.Choose(key, tried); !errors.Is(err, ErrNoServer) {
					t.Errorf("all tried: %v", err)
				}
			}
		})
	}
}

// TestHash sees that keys keep their server, are shared by the weights, and that when a
// server goes only its own keys move, to all others.
func TestHash(t *testing.T) {
	const keys = 100_000
	for _, weights := range [][]int{{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 2, 3, 4}} {
		t.Run(fmt.Sprint(weights), func(t *testing.T) {
			r := newRig(t)
			u := r.begin(Config{Balance: Hash}, targets(weights...), nil)
			where := func() (list []int) {
				for i := range keys {
					list = append(list, choose(t, u, Key(fmt.Sprint("client ", i))))
				}
				return list
			}
			before := where()
			if !slices.Equal(before, where()) {
				t.Error("keys move although nothing has changed")
			}
			sum := 0
			for _, w := range weights {
				sum += w
			}
			share := make([]int, len(weights)+1)
			for _, n := range before {
				share[n]++
			}
			for i, w := range weights {
				if want := keys * w / sum; math.Abs(float64(share[i+1]-want)) > 0.05*float64(want) {
					t.Errorf("server %d of weight %d has %d keys, not about %d", i+1, w, share[i+1], want)
				}
			}
			if _, err := u.Drain(at(2).String(), true); err != nil {
				t.Fatal(err)
			}
			moved := make([]int, len(weights)+1)
			for i, n := range where() {
				if n != before[i] {
					moved[n]++
					if before[i] != 2 {
						t.Fatalf("a key of server %d has moved, though server 2 has gone", before[i])
					}
				}
			}
			for i, w := range weights {
				want := share[2] * w / (sum - weights[1])
				if i+1 != 2 && math.Abs(float64(moved[i+1]-want)) > 0.1*float64(want) {
					t.Errorf("server %d has taken over %d keys, not about %d", i+1, moved[i+1], want)
				}
			}
			if _, err := u.Drain(at(2).String(), false); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(before, where()) {
				t.Error("the keys are not back when the server is")
			}
		})
	}
}

// TestKeys sees that keys are the same in every program.
func TestKeys(t *testing.T) {
	if got := Key("10.0.0.1:80"); got != Key("10.0.0."+"1:80") || got == Key("10.0.0.2:80") {
		t.Errorf("%x", got)
	}
	if AddressKey(at(1).Addr()) == AddressKey(at(2).Addr()) {
		t.Error("two addresses have the same key")
	}
}

// TestChoiceAllocates sees that a choice allocates nothing.
func TestChoiceAllocates(t *testing.T) {
	client := at(9).Addr()
	for _, balance := range Balances() {
		u := newRig(t).begin(Config{Balance: balance, MaxConnections: 10}, targets(1, 2, 3, 4), nil)
		if n := testing.AllocsPerRun(100, func() {
			s, err := u.Choose(AddressKey(client), nil)
			if err == nil {
				s.Report(nil)
				s.Release()
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", balance, n)
		}
	}
}

func BenchmarkChoose(b *testing.B) {
	for _, balance := range Balances() {
		for _, n := range []int{3, 30, 300} {
			for _, even := range []bool{true, false} {
				weights := make([]int, min(n, 250))
				for i := range weights {
					weights[i] = 1
					if !even {
						weights[i] += i % 3
					}
				}
				b.Run(fmt.Sprintf("%s/%d/even=%v", balance, len(weights), even), func(b *testing.B) {
					u := newRig(b).begin(Config{Balance: balance}, targets(weights...), nil)
					b.ReportAllocs()
					var key uint64
					for b.Loop() {
						key++
						s, err := u.Choose(mix(key), nil)
						if err != nil {
							b.Fatal(err)
						}
						s.Release()
					}
				})
			}
		}
	}
}
