package completion

// gatherRoom is where small pieces are put together: the gathering write of
// Windows takes whole pages, unbuffered, only.
type gatherRoom []byte

// gatherSize is how much is put together for one write. A piece of that size is
// written from where it is.
const gatherSize = 64 << 10

// together returns what is to be written next, the first of the pieces.
func (g *gather) together() []byte {
	if first := g.pieces[0]; len(g.pieces) == 1 || len(first) >= gatherSize {
		return first
	}
	g.room = g.room[:0]
	for _, p := range g.pieces {
		if len(g.room)+len(p) > gatherSize {
			break
		}
		g.room = append(g.room, p...)
	}
	return g.room
}

// nextWrite returns what is to be written next by a write to a file or stream.
func (o *Overlapped) nextWrite() []byte {
	if o.gather != nil {
		return o.gather.together()
	}
	return o.rest()
}
