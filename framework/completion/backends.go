package completion

// Backends returns the names of the backends that this system could have.
func Backends() []string {
	all := candidates()
	names := make([]string, 0, len(all))
	for _, c := range all {
		names = append(names, c.name)
	}
	return names
}
