package scripting

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
)

// TestLargeUpload has scripts see an upload chunk by chunk: it arrives as it was sent, and takes little
// memory, however long it is.
func TestLargeUpload(t *testing.T) {
	const (
		size   = 64 << 20
		most   = 24 << 20 // that the heap may grow by
		sample = 1 << 20  // how often that is looked at
	)
	for _, test := range []struct {
		name   string
		busy   int // how much slower the server is than the client
		script string
	}{
		{"let pass", 0, `local seen = 0
			function M.on_request_body(conn, req, chunk)
				seen = seen + #chunk
				if #chunk == 0 then assert(seen == ` + strconv.Itoa(size) + `, seen) end
			end`},
		{"replaced by the same", 0, `function M.on_request_body(conn, req, chunk) return tostring(chunk) end`},
		{"to a slow server", 5, `function M.on_request_body(conn, req, chunk) end`},
		{"written to the disk before", 0, `local file, offset = nil, 0
			function M.on_request_body(conn, req, chunk)
				file = file or assert(fwx.file.open("var/copy", "w"))
				assert(file:write(offset % (4 * 1024 * 1024), tostring(chunk)))
				offset = offset + #chunk
			end`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var highest atomic.Uint64
			look := func() {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				highest.Store(max(highest.Load(), m.HeapInuse))
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				hash, scratch, work := sha256.New(), make([]byte, sample), [sha256.Size]byte{}
				for {
					_, err := io.CopyN(hash, r.Body, sample)
					for range test.busy {
						work = sha256.Sum256(scratch)
					}
					if look(); err != nil {
						fmt.Fprintf(w, "%x %v", hash.Sum(work[:0]), err)
						return
					}
				}
			}))
			t.Cleanup(server.Close)
			g := newHTTPGatewayTo(t, server.Listener.Addr().String(), test.script)
			runtime.GC()
			look()
			before := highest.Load()
			sent := sha256.New()
			body := io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{}), size), sent)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+g.fw.ListenAddress("web").String()+"/", body)
			if err != nil {
				t.Fatal(err)
			}
			r.ContentLength = size
			p, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(p.Body)
			_ = p.Body.Close() // all of it has come
			if want := fmt.Sprintf("%x EOF", sent.Sum(nil)); err != nil || string(got) != want {
				t.Errorf("the server has had %s %v, want %s", got, err, want)
			}
			if grown := highest.Load() - before; grown > most {
				t.Errorf("the heap has grown by %d KiB", grown>>10)
			} else {
				t.Logf("the heap has grown by %d KiB", grown>>10)
			}
		})
	}
}
