package balance

import (
	"cmp"
	"slices"
)

// table is the servers that can be taken just now. It never changes.
type table struct {
	tiers [2]tier // those that are no backups, and those that are
}

// tier is servers that are chosen among.
type tier struct {
	servers []*Server
	weights []uint32 // theirs, as small as they can be
	even    bool     // all weights are the same
	turns   []uint16 // by places in servers, each as often as its weight says
}

// maxTurns bounds turns; weights whose sum is larger are rounded.
const maxTurns = 4096

// newTier makes a tier, for turns if they are wanted.
func newTier(servers []*Server, weights []uint32, turns bool) tier {
	reduce(weights)
	t := tier{servers: servers, weights: weights, even: true}
	for _, w := range weights {
		t.even = t.even && w == weights[0]
	}
	if turns {
		t.turns = spread(weights)
	}
	return t
}

// reduce makes weights as small as they can be without a change of what they mean.
func reduce(weights []uint32) {
	var divisor uint32
	for _, w := range weights {
		for a, b := w, divisor; ; a, b = b, a%b {
			if b == 0 {
				divisor = a
				break
			}
		}
	}
	for i := range weights {
		weights[i] /= divisor
	}
}

// spread returns the turns for weights: each place as often as its weight says, and
// always at about the same distance.
func spread(weights []uint32) []uint16 {
	var sum uint32
	for _, w := range weights {
		sum += w
	}
	type turn struct {
		at    float64 // in a round of length 1
		place uint16
	}
	all := make([]turn, 0, min(sum, 2*maxTurns))
	for place, w := range weights {
		if sum > maxTurns {
			w = max(1, w*maxTurns/sum)
		}
		offset := (float64(place) + 0.5) / float64(len(weights))
		for k := range w {
			all = append(all, turn{(float64(k) + offset) / float64(w), uint16(place)})
		}
	}
	slices.SortFunc(all, func(a, b turn) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.place, b.place)) })
	turns := make([]uint16, len(all))
	for i := range all {
		turns[i] = all[i].place
	}
	return turns
}

// choice is what a server is chosen for.
type choice struct {
	key   uint64
	turn  uint32
	limit int64     // of the connections to a server; 0: none
	tried []*Server // not to be taken again
}

// free reports whether a server that has n connections can be taken.
func (c *choice) free(s *Server, n int64) bool {
	return s.free(n, c.limit) && !slices.Contains(c.tried, s)
}

// inTurn takes a place at the server whose turn it is, or at the next one that can be had;
// nil if none can.
func (t *tier) inTurn(c *choice) *Server {
	if len(t.turns) == 0 {
		return nil
	}
	first := int(t.turns[c.turn%uint32(len(t.turns))])
	for i := range t.servers {
		s := t.servers[(first+i)%len(t.servers)]
		for n := s.active.Load(); c.free(s, n); n = s.active.Load() {
			if s.take(n) {
				return s
			}
		}
	}
	return nil
}

// leastBusy takes a place at the server with the fewest connections for its weight. Of
// several such ones it takes another each time.
func (t *tier) leastBusy(c *choice) *Server {
	for {
		best, least := -1, int64(0)
		for i := range t.servers {
			place := int((uint64(c.turn) + uint64(i)) % uint64(len(t.servers)))
			n := t.servers[place].active.Load()
			if !c.free(t.servers[place], n) {
				continue
			}
			if best < 0 || (n+1)*int64(t.weights[best]) < (least+1)*int64(t.weights[place]) {
				best, least = place, n
			}
		}
		if best < 0 {
			return nil
		}
		if t.servers[best].take(least) { // otherwise it has more or fewer by now
			return t.servers[best]
		}
	}
}

// byKey takes a place at the server that has the highest score for the key.
func (t *tier) byKey(c *choice) *Server {
	for {
		s, n := t.highest(c)
		if s == nil || s.take(n) {
			return s
		}
	}
}

// highest returns the server with the highest score, and its connections.
func (t *tier) highest(c *choice) (best *Server, active int64) {
	var top uint64
	var heaviest float64
	for i, s := range t.servers {
		n := s.active.Load()
		if !c.free(s, n) {
			continue
		}
		score := s.score(c.key)
		if t.even {
			if best == nil || score > top {
				best, active, top = s, n, score
			}
		} else if weighed := weigh(score, t.weights[i]); best == nil || weighed > heaviest {
			best, active, heaviest = s, n, weighed
		}
	}
	return best, active
}
