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
	"fwx/framework/strict"
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
		Settings: func() any { return &Settings{Prefix: defaultPrefix} },
		New: func(settings any, dir string, logger *slog.Logger, check strict.Checker) store.Store {
			s := settings.(*Settings)
			return open(*s, s.check(dir, check), logger)
		},
	}
}

// access is what is needed to connect.
type access struct{ network, address, password string }

// check reports what is wrong with the settings, and fills in the defaults.
func (s *Settings) check(dir string, check strict.Checker) (a access) {
	check.Count("database", s.Database, maxDatabase)
	check.Duration("timeout", &s.Timeout, defaultTimeout)
	if s.Timeout > maxTimeout {
		check.Errorf("timeout", "wants at most %v, not %v", maxTimeout, s.Timeout)
	}
	var err error
	if a.network, a.address, err = s.endpoint(dir); err != nil {
		check.Errorf("address", "%v", err)
	}
	if a.password, err = s.password(dir); err != nil {
		check.Errorf("password_file", "%v", err)
	}
	return a
}

// endpoint returns the network and the address that the settings name.
func (s *Settings) endpoint(dir string) (network, address string, err error) {
	if path, ok := strings.CutPrefix(s.Address, "unix:"); ok {
		if path == "" {
			return "", "", errors.New("the path of the unix socket is missing")
		}
		path = beneath(dir, path)
		return "unix", path, completion.Address{Path: path}.Check()
	}
	host, port, err := net.SplitHostPort(s.Address)
	if err != nil || host == "" {
		return "", "", fmt.Errorf("%q: wants host:port, [ipv6]:port or unix:/path", s.Address)
	}
	if _, err = completion.ParsePort(port); err == nil {
		err = completion.CheckHost(host)
	}
	if err != nil {
		return "", "", fmt.Errorf("%q: %w", s.Address, err)
	}
	return "tcp", s.Address, nil
}

// password returns the password, from its file if it has one.
func (s *Settings) password(dir string) (string, error) {
	switch {
	case s.PasswordFile == "":
		return s.Password, nil
	case s.Password != "":
		return "", errors.New("there is a password already")
	}
	path := beneath(dir, s.PasswordFile)
	text, err := os.ReadFile(path) //nolint:gosec // the operator says which file
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(text), "\r\n"), secret.Check(path)
}

func beneath(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
