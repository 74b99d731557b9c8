//go:build race

package completion

// poison overwrites a released buffer, so that a use after the release shows.
func poison(mem []byte) {
	for i := range mem {
		mem[i] = 0xDB
	}
}
