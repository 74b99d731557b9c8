package http1

import "net/http"

// StatusText returns the reason phrase that a status is known by, empty if there is none.
func StatusText(status int) string { return http.StatusText(status) }
