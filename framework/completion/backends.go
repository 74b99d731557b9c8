package completion

// Backends returns the names of the backends that this system could have.
func Backends() []string {
	var names []string
	for _, c := range candidates() {
		names = append(names, c.name)
	}
	return names
}
