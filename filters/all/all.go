// Package all is the one place that lists the filters that the program fwx
// comes with. A host program that wants others, or fewer, makes a registry of
// its own.
package all

import (
	"fwx/framework"
	"fwx/scripting"
)

// Registry returns a registry of all built-in kinds of filter.
func Registry() *framework.Registry {
	return framework.NewRegistry(
		scripting.Factory(),
	)
}
