package redisstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"fwx/framework/fwxtest"
	"fwx/framework/store"
	"fwx/framework/store/redisstore"
	"fwx/framework/store/redisstore/redistest"
	"fwx/framework/store/storetest"
	"fwx/framework/strict"
)

func TestMain(m *testing.M) { fwxtest.VerifyMain(m) }

const patience = 30 * time.Second

// open makes a store whose keys are those of the test alone.
func open(t *testing.T, s redisstore.Settings) *redisstore.Store {
	t.Helper()
	if s.Prefix == "" {
		s.Prefix = t.Name() + ":"
	}
	opened, err := redisstore.New(s, "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func closed(t *testing.T, s store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestRedis runs the tests of all kinds of store.
func TestRedis(t *testing.T) {
	server := redistest.Start(t)
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		return open(t, redisstore.Settings{Address: server.Address(), Timeout: patience})
	})
}

func do(s store.Store, op store.Op, key string, n float64) store.Result {
	r := store.Request{Op: op, Key: key}
	if n != 0 {
		r.Value = store.NumberValue(n)
	}
	return storetest.Do(s, r)
}

// TestTwoStores sees that stores with the same prefix are one, and others are not.
func TestTwoStores(t *testing.T) {
	server := redistest.Start(t)
	a := open(t, redisstore.Settings{Address: server.Address(), Timeout: patience})
	defer closed(t, a)
	b := open(t, redisstore.Settings{Address: server.Address(), Timeout: patience})
	defer closed(t, b)
	other := open(t, redisstore.Settings{Address: server.Address(), Timeout: patience, Prefix: "other:"})
	defer closed(t, other)
	database := open(t, redisstore.Settings{Address: server.Address(), Timeout: patience, Database: 1})
	defer closed(t, database)

	do(a, store.Incr, "n", 1)
	if r := do(b, store.Incr, "n", 1); r.Value.Number != 2 {
		t.Error(r)
	}
	for _, s := range []store.Store{other, database} {
		if r := do(s, store.Get, "n", 0); r != (store.Result{}) {
			t.Error(r)
		}
	}
}

// TestStopAndStart stops the server and starts it again. Requests end meanwhile,
// and afterwards they succeed.
func TestStopAndStart(t *testing.T) {
	server := redistest.Start(t)
	var log bytes.Buffer
	s, err := redisstore.New(redisstore.Settings{Address: server.Address(), Timeout: time.Second}, "", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	works := func() bool { return do(s, store.Incr, "n", 1).Err == nil }
	fwxtest.Eventually(t, patience, "the server is reached", works)
	for range 3 {
		server.Stop()
		for range 20 { // connections that are open, and then new ones
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					if r := do(s, store.Incr, "n", 1); !errors.Is(r.Err, store.ErrUnavailable) && !errors.Is(r.Err, store.ErrTimeout) {
						t.Error(r)
					}
				})
			}
			all.Wait()
		}
		server.Restart()
		fwxtest.Eventually(t, patience, "the server is reached again", works)
	}
	closed(t, s) // also so that nobody logs any more
	if st := s.Stats(); st.Failures < 3*20*20 || st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
	for _, line := range []string{"the store is not to be had", "the store is back"} {
		if strings.Count(log.String(), line) < 3 {
			t.Errorf("the log lacks %q:\n%s", line, log.String())
		}
	}
}

// mute is a server that takes connections and never says anything.
func mute(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // the test ends it
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			serving.Go(func() {
				_, _ = io.Copy(io.Discard, c) // until the client has had enough
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	return l.Addr().String()
}

// TestMute asks a server that does not answer more than can wait. Every request
// has an answer, in time.
func TestMute(t *testing.T) {
	const requests, timeout = 20_000, 2 * time.Second
	s := open(t, redisstore.Settings{Address: mute(t), Timeout: timeout})
	var mu sync.Mutex
	answers := map[error]int{}
	var all sync.WaitGroup
	asked := answerFunc(func(r store.Result) {
		mu.Lock()
		defer mu.Unlock()
		defer all.Done()
		for _, err := range []error{store.ErrTimeout, store.ErrUnavailable, store.ErrBusy} {
			if errors.Is(r.Err, err) {
				answers[err]++
				return
			}
		}
		t.Error(r)
	})
	for i := range requests {
		all.Add(1)
		r, ok := s.Do(store.Request{Op: store.Get, Key: strconv.Itoa(i)}, asked)
		if ok {
			asked(r)
		}
	}
	all.Wait()
	t.Log(answers)
	if answers[store.ErrTimeout] == 0 || answers[store.ErrBusy] == 0 {
		t.Error(answers)
	}
	closed(t, s)
	if r, ok := s.Do(store.Request{Op: store.Get, Key: "k"}, nil); !ok || !errors.Is(r.Err, store.ErrUnavailable) {
		t.Error(r, ok)
	}
}

type answerFunc func(store.Result)

func (f answerFunc) Answer(r store.Result) { f(r) }

// TestForeign reads what other programs write, and they what we do.
func TestForeign(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Settings{Address: server.Address(), Timeout: patience, Prefix: "p:"})
	defer closed(t, s)
	c, err := net.Dial("unix", strings.TrimPrefix(server.Address(), "unix:")) //nolint:noctx // it is on this machine
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience)) // it is open
	say := func(command, want string) {
		t.Helper()
		fmt.Fprint(c, command+"\r\n")
		answer := make([]byte, len(want))
		if _, err := io.ReadFull(c, answer); err != nil || string(answer) != want {
			t.Fatalf("%s: got %q, %v", command, answer, err)
		}
	}
	say("SET p:number 41", "+OK\r\n")
	if r := do(s, store.Incr, "number", 1.5); r.Value != store.NumberValue(42.5) {
		t.Error(r)
	}
	say("GET p:number", "$4\r\n42.5\r\n")
	say("SET p:word hello", "+OK\r\n")
	say("SET p:inf inf", "+OK\r\n")
	say("LPUSH p:list 1", ":1\r\n")
	for _, key := range []string{"word", "list", "inf"} {
		if r := do(s, store.Get, key, 0); r.Err == nil || !strings.Contains(r.Err.Error(), "another program") {
			t.Error(key, r)
		}
		if r := do(s, store.Incr, key, 1); r.Err == nil || errors.Is(r.Err, store.ErrUnavailable) {
			t.Error(key, r)
		}
	}
	say("CONFIG SET requirepass secret", "+OK\r\n")
	locked := open(t, redisstore.Settings{Address: server.Address(), Timeout: patience})
	defer closed(t, locked)
	if r := do(locked, store.Get, "k", 0); !errors.Is(r.Err, store.ErrUnavailable) || !strings.Contains(r.Err.Error(), "NOAUTH") {
		t.Error(r)
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, settings := range []redisstore.Settings{{Password: "secret"}, {PasswordFile: file}} {
		settings.Address, settings.Timeout = server.Address(), patience
		s := open(t, settings)
		if r := do(s, store.Incr, "k", 1); r.Err != nil {
			t.Error(r)
		}
		closed(t, s)
	}
}

func TestSettings(t *testing.T) {
	const good = "127.0.0.1:6379"
	tests := []struct {
		settings redisstore.Settings
		key      string
	}{
		{redisstore.Settings{Address: good}, ""},
		{redisstore.Settings{Address: "[::1]:6379", Database: 3, Password: "x", Timeout: time.Minute}, ""},
		{redisstore.Settings{Address: "redis.example:6379"}, ""},
		{redisstore.Settings{Address: "unix:var/redis"}, ""},
		{redisstore.Settings{}, "address"},
		{redisstore.Settings{Address: "unix:"}, "address"},
		{redisstore.Settings{Address: "localhost"}, "address"},
		{redisstore.Settings{Address: ":6379"}, "address"},
		{redisstore.Settings{Address: "localhost:"}, "address"},
		{redisstore.Settings{Address: "localhost:redis"}, "address"},
		{redisstore.Settings{Address: "localhost:0"}, "address"},
		{redisstore.Settings{Address: "host name:6379"}, "address"},
		{redisstore.Settings{Address: "unix:" + strings.Repeat("x", 200)}, "address"},
		{redisstore.Settings{Address: good, Timeout: -1}, "timeout"},
		{redisstore.Settings{Address: good, Timeout: time.Hour}, "timeout"},
		{redisstore.Settings{Address: good, Database: -1}, "database"},
		{redisstore.Settings{Address: good, Password: "x", PasswordFile: "y"}, "password_file"},
		{redisstore.Settings{Address: good, PasswordFile: "not there"}, "password_file"},
	}
	for _, test := range tests {
		s, err := redisstore.New(test.settings, "", slog.Default())
		var wrong *strict.Error
		if errors.As(err, &wrong) != (test.key != "") || wrong != nil && wrong.Key != test.key {
			t.Errorf("%+v: %v", test.settings, err)
		}
		if s != nil {
			closed(t, s)
		}
	}
}
