package redisstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"fwx/framework/store"
)

// What the first byte of a value in Redis says of it. A number has none of these.
const (
	tagText  = "s"
	tagTrue  = "t"
	tagFalse = "f"
)

// notNumber is the error of incrScript about a value, or a sum, that is none.
const notNumber = "NOTNUMBER"

// The operations that take several commands are scripts, which Redis runs
// atomically. They compute as the store in memory does; Redis' own INCRBYFLOAT
// computes with more digits.
const (
	// incrScript adds ARGV[1]; a key without a value gets the time ARGV[2], "" if it has none.
	incrScript = `
local old = redis.call('GET', KEYS[1])
local sum = tonumber(ARGV[1])
if old then
	local number = tonumber(old)
	if not number then return redis.error_reply('` + notNumber + `') end
	sum = number + sum
end
if sum ~= sum or sum == math.huge or sum == -math.huge then return redis.error_reply('` + notNumber + `') end
local text = string.format('%.17g', sum)
if old then
	redis.call('SET', KEYS[1], text, 'KEEPTTL')
elseif ARGV[2] ~= '' then
	redis.call('SET', KEYS[1], text, 'PX', ARGV[2])
else
	redis.call('SET', KEYS[1], text)
end
return text`

	// swapScript replaces the value ARGV[1] by ARGV[2]; "" is no value.
	swapScript = `
local old = redis.call('GET', KEYS[1]) or ''
if old ~= ARGV[1] then
	local number = tonumber(old)
	if not number or number ~= tonumber(ARGV[1]) then return 0 end
end
if ARGV[2] == '' then
	redis.call('DEL', KEYS[1])
elseif old == '' then
	redis.call('SET', KEYS[1], ARGV[2])
else
	redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
end
return 1`

	// persistScript makes a value last for ever.
	persistScript = `redis.call('PERSIST', KEYS[1]) return redis.call('EXISTS', KEYS[1])`
)

// command returns a request as a command of Redis.
func (s *Store) command(ctx context.Context, r *store.Request) *redis.Cmd {
	key, ttl := s.prefix+r.Key, r.TTL.Milliseconds()
	switch r.Op {
	case store.Get: // bounded, whatever others have put there; no value is empty
		return redis.NewCmd(ctx, "GETRANGE", key, 0, store.MaxValue+len(tagText))
	case store.Set, store.Add:
		args := []any{"SET", key, encode(r.Value)}
		if ttl > 0 {
			args = append(args, "PX", ttl)
		}
		if r.Op == store.Add {
			args = append(args, "NX")
		}
		return redis.NewCmd(ctx, args...)
	case store.Incr:
		text := ""
		if ttl > 0 {
			text = strconv.FormatInt(ttl, 10)
		}
		return redis.NewCmd(ctx, "EVAL", incrScript, 1, key, encode(r.Value), text)
	case store.CompareAndSet:
		return redis.NewCmd(ctx, "EVAL", swapScript, 1, key, encode(r.Old), encode(r.Value))
	case store.Expire:
		if ttl > 0 {
			return redis.NewCmd(ctx, "PEXPIRE", key, ttl)
		}
		return redis.NewCmd(ctx, "EVAL", persistScript, 1, key)
	default: // Delete: the others have been checked
		return redis.NewCmd(ctx, "DEL", key)
	}
}

// encode returns a value as Redis keeps it; that of none is empty.
func encode(v store.Value) string {
	switch v.Type {
	case store.Text:
		return tagText + v.Text
	case store.Number:
		return strconv.FormatFloat(v.Number, 'g', -1, 64)
	case store.Bool:
		if v.Bool {
			return tagTrue
		}
		return tagFalse
	case store.None:
	}
	return ""
}

// errForeign is a value that is none of ours.
var errForeign = errors.New("the key has a value in Redis that another program must have put there")

func decode(text string) (store.Value, error) {
	switch {
	case text == "":
		return store.Value{}, nil
	case text == tagTrue, text == tagFalse:
		return store.BoolValue(text == tagTrue), nil
	case strings.HasPrefix(text, tagText) && len(text) <= store.MaxValue+len(tagText):
		return store.TextValue(text[len(tagText):]), nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return store.Value{}, errForeign
	}
	return store.NumberValue(n), nil
}

// result returns what a command has been answered.
func result(op store.Op, cmd *redis.Cmd) store.Result {
	reply, err := cmd.Result()
	switch {
	case errors.Is(err, redis.Nil): // of an Add
		return store.Result{}
	case err != nil:
		return store.Result{Err: failure(err)}
	case op == store.Get, op == store.Incr:
		text, _ := reply.(string)
		v, err := decode(text)
		return store.Result{Value: v, Err: err}
	case op == store.Set, op == store.Add:
		return store.Result{OK: true}
	}
	n, _ := reply.(int64)
	return store.Result{OK: n > 0}
}

// failure returns an error of Redis, or of the way there, as one of a store.
func failure(err error) error {
	var replied redis.Error
	var network net.Error
	switch {
	case redis.HasErrorPrefix(err, notNumber):
		return store.ErrNotNumber
	case strings.Contains(err.Error(), "WRONGTYPE"): // also of a script
		return errForeign
	case errors.As(err, &replied):
		return fmt.Errorf("%w: Redis answers %q", store.ErrUnavailable, err.Error())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return store.ErrTimeout
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}
