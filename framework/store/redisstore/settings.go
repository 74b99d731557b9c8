package redisstore

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fwx/framework/completion"
	"fwx/framework/internal/secret"
	"fwx/framework/store"
)

// Settings are the settings of a store in Redis.
type Settings struct {
	// Address is "host:port", "[ipv6]:port" or "unix:/path".
	Address string `toml:"address,required"`
	// Password is that of the Redis; empty: it asks for none.
	Password string `toml:"password"`
	// PasswordFile is a file with the password instead.
	PasswordFile string `toml:"password_file"`
	// Database is the number of the database.
	Database int `toml:"database"`
	// Prefix stands before every key.
	Prefix string `toml:"prefix"`
	// Timeout bounds how long a request waits to be sent, and again how long for
	// its answer.
	Timeout time.Duration `toml:"timeout"`
}

const (
	defaultPrefix  = "fwx:"
	defaultTimeout = time.Second
	maxTimeout     = time.Minute
	maxDatabase    = 1 << 16
)

// Kind returns the kind of store "redis".
func Kind() store.Kind {
	return store.Kind{
		Name:     "redis",
		Settings: func() any { return &Settings{Prefix: defaultPrefix, Timeout: defaultTimeout} },
		New: func(settings any, dir string, logger *slog.Logger) (store.Store, error) {
			s, ok := settings.(*Settings)
			if !ok {
				return nil, fmt.Errorf("settings of type %T", settings)
			}
			if s.Timeout == 0 { // it was written so
				return nil, &store.KeyError{Key: "timeout", Err: fmt.Errorf("wants more than 0; leave the key out for %v", defaultTimeout)}
			}
			return New(*s, dir, logger)
		},
	}
}

// endpoint returns the network and the address that the settings name.
func (s *Settings) endpoint(dir string) (network, address string, err error) {
	if path, ok := strings.CutPrefix(s.Address, "unix:"); ok {
		if path == "" {
			return "", "", &store.KeyError{Key: "address", Err: errors.New("the path of the unix socket is missing")}
		}
		path = beneath(dir, path)
		if err := (completion.Address{Path: path}).Check(); err != nil {
			return "", "", &store.KeyError{Key: "address", Err: err}
		}
		return "unix", path, nil
	}
	host, port, err := net.SplitHostPort(s.Address)
	if err != nil || host == "" {
		return "", "", &store.KeyError{Key: "address", Err: fmt.Errorf("%q: wants host:port, [ipv6]:port or unix:/path", s.Address)}
	}
	if _, err = completion.ParsePort(port); err == nil {
		err = completion.CheckHost(host)
	}
	if err != nil {
		return "", "", &store.KeyError{Key: "address", Err: fmt.Errorf("%q: %w", s.Address, err)}
	}
	return "tcp", s.Address, nil
}

// check looks at everything but the address.
func (s *Settings) check() error {
	switch {
	case s.Password != "" && s.PasswordFile != "":
		return &store.KeyError{Key: "password_file", Err: errors.New("there is a password already")}
	case s.Database < 0 || s.Database > maxDatabase:
		return &store.KeyError{Key: "database", Err: fmt.Errorf("wants a number from 0 to %d, not %d", maxDatabase, s.Database)}
	case s.Timeout <= 0 || s.Timeout > maxTimeout:
		return &store.KeyError{Key: "timeout", Err: fmt.Errorf("wants more than 0 and at most %v, not %v", maxTimeout, s.Timeout)}
	}
	return nil
}

// password returns the password, from its file if it has one.
func (s *Settings) password(dir string) (string, error) {
	if s.PasswordFile == "" {
		return s.Password, nil
	}
	text, err := os.ReadFile(beneath(dir, s.PasswordFile))
	if err != nil {
		return "", &store.KeyError{Key: "password_file", Err: err}
	}
	if err := secret.Check(beneath(dir, s.PasswordFile)); err != nil {
		return "", &store.KeyError{Key: "password_file", Err: err}
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

func beneath(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
