package scripting

import (
	"errors"
	"strings"
	"syscall"
)

// isEscape reports whether an open failed because its path leads out of the
// directory that it must stay beneath.
func isEscape(err error) bool {
	return errors.Is(err, syscall.EXDEV) || strings.Contains(err.Error(), "path escapes from parent")
}
