package demo

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxBytes = 1 << 40 // the most that /bytes answers with
	maxSlow  = 60_000  // the longest that /slow waits, in milliseconds

	bufferSize = 64 << 10
)

//go:embed index.txt
var index string

// buffers holds what bodies pass through. net/http writes a buffer of this size straight
// to the socket.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// newHandler returns the handler of all paths.
func newHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", readOnly(serveIndex))
	mux.HandleFunc("/bytes/{n}", readOnly(serveBytes))
	mux.HandleFunc("/slow/{ms}", readOnly(serveSlow))
	mux.HandleFunc("/echo", serveEcho)
	mux.HandleFunc("/", serveNotFound)
	return mux
}

// readOnly refuses every method but GET and HEAD.
func readOnly(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, fmt.Sprintf("%s takes GET and HEAD, not %s", r.URL.Path, r.Method), http.StatusMethodNotAllowed)
			return
		}
		next(w, r)
	}
}

func serveIndex(w http.ResponseWriter, _ *http.Request) {
	writeText(w, index)
}

// serveNotFound answers every path that is not the server's.
func serveNotFound(w http.ResponseWriter, r *http.Request) {
	http.Error(w, fmt.Sprintf("nothing at %s; there are /, /bytes/N, /echo and /slow/MS", r.URL.Path), http.StatusNotFound)
}

// serveBytes answers with the first N bytes of the stream that Bytes documents.
func serveBytes(w http.ResponseWriter, r *http.Request) {
	size, err := parseNumber(r.PathValue("n"), maxBytes)
	if err != nil {
		http.Error(w, "/bytes/N: N "+err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	if r.Method == http.MethodHead {
		return
	}
	buffer := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buffer)
	var s stream
	for size > 0 {
		part := buffer[:min(size, bufferSize)]
		_, _ = s.Read(part) // Always fills part.
		if _, err := w.Write(part); err != nil {
			return // The client has gone.
		}
		size -= int64(len(part))
	}
}

// serveSlow answers after MS milliseconds.
func serveSlow(w http.ResponseWriter, r *http.Request) {
	ms, err := parseNumber(r.PathValue("ms"), maxSlow)
	if err != nil {
		http.Error(w, "/slow/MS: MS "+err.Error(), http.StatusBadRequest)
		return
	}
	timer := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		writeText(w, fmt.Sprintf("answered after %d ms\n", ms))
	case <-r.Context().Done():
		panic(http.ErrAbortHandler) // An answer now would be early.
	}
}

// serveEcho answers with the body of the request, part by part as it comes in.
func serveEcho(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	// Without this the server would read all the request before it lets the answer begin,
	// and drop what is more than a little.
	if err := control.EnableFullDuplex(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	contentType := r.Header.Get("Content-Type")
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.ContentLength >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	buffer := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buffer)
	for {
		n, err := r.Body.Read(buffer[:])
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return // The client has gone.
			}
			if err := control.Flush(); err != nil {
				return
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			panic(http.ErrAbortHandler) // The answer must not look complete.
		}
	}
}

// parseNumber returns the decimal number in text, which must be from 0 to highest.
func parseNumber(text string, highest int64) (int64, error) {
	isDigit := func(r rune) bool { return r >= '0' && r <= '9' }
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > highest || strings.TrimLeftFunc(text, isDigit) != "" {
		return 0, fmt.Errorf("must be a whole number from 0 to %d, not %q", highest, text)
	}
	return n, nil
}

// writeText answers with a short text.
func writeText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = io.WriteString(w, text) // A failure means that the client has gone.
}
