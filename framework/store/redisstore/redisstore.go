package redisstore

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"fwx/framework/store"
	"fwx/framework/strict"
)

const (
	// maxSenders is how many connections there are at most.
	maxSenders = 4
	// maxBatch is how many requests are sent together.
	maxBatch = 128
	// maxQueued and maxQueuedBytes bound the requests that wait to be sent.
	maxQueued      = 16 << 10
	maxQueuedBytes = 32 << 20
)

// Store is a store in Redis.
type Store struct {
	client  *redis.Client
	prefix  string
	timeout time.Duration
	logger  *slog.Logger

	mu       sync.Mutex
	queue    []question
	bytes    int // in queue
	senders  int
	waiting  int // questions without an answer
	failures uint64
	down     bool // the last answer was that there is none
	closed   bool
	ended    sync.WaitGroup // senders
}

// question is a request that waits for its answer.
type question struct {
	request  store.Request
	answerer store.Answerer
	asked    time.Time
}

func (q *question) size() int {
	return len(q.request.Key) + len(q.request.Value.Text) + len(q.request.Old.Text)
}

// New makes a store in Redis. It connects with the first request. Paths in the
// settings start from dir. The error is about the settings.
func New(settings Settings, dir string, logger *slog.Logger) (*Store, error) {
	var mistakes strict.Errors
	access := settings.check(dir, strict.NewChecker(&mistakes))
	if err := mistakes.Err(); err != nil {
		return nil, err
	}
	return open(settings, access, logger), nil
}

// open makes a store from settings that have been checked.
func open(settings Settings, at access, logger *slog.Logger) *Store {
	redis.SetLogger(quiet{})
	client := redis.NewClient(&redis.Options{
		Network: at.network, Addr: at.address, Password: at.password, DB: settings.Database,
		Protocol: 2, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		MaxRetries:               -1, // an Incr that was sent may have been carried out
		DialerRetries:            1,
		DialTimeout:              settings.Timeout, ReadTimeout: settings.Timeout, WriteTimeout: settings.Timeout,
		ContextTimeoutEnabled: true,
		PoolSize:              maxSenders, PipelinePoolSize: -1,
	})
	return &Store{client: client, prefix: settings.Prefix, timeout: settings.Timeout, logger: logger}
}

// quiet keeps the client from writing to standard error what every request is told.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// Do queues a request.
func (s *Store) Do(r store.Request, a store.Answerer) (store.Result, bool) {
	if err := r.Check(); err != nil {
		return store.Result{Err: err}, true
	}
	q := question{r, a, time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		s.failures++
		return store.Result{Err: store.ErrUnavailable}, true
	case len(s.queue) >= maxQueued || s.bytes+q.size() > maxQueuedBytes:
		s.failures++
		return store.Result{Err: store.ErrBusy}, true
	}
	s.queue = append(s.queue, q)
	s.bytes += q.size()
	s.waiting++
	if s.senders < maxSenders {
		s.senders++
		s.ended.Go(s.send)
	}
	return store.Result{}, false
}

// send sends what is in the queue until it is empty.
func (s *Store) send() {
	for {
		batch := s.take()
		if batch == nil {
			return
		}
		s.exchange(batch)
	}
}

// take takes a batch from the queue. With nil it counts the sender out.
func (s *Store) take() []question {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(s.queue), maxBatch)
	if n == 0 {
		s.senders--
		return nil
	}
	batch := append([]question(nil), s.queue[:n]...)
	clear(s.queue[:n])
	if s.queue = s.queue[n:]; len(s.queue) == 0 {
		s.queue = nil
	}
	for i := range batch {
		s.bytes -= batch[i].size()
	}
	return batch
}

// exchange sends a batch and gives the answers. What has waited for too long is
// not sent any more.
func (s *Store) exchange(batch []question) {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	pipeline := s.client.Pipeline()
	commands := make([]*redis.Cmd, len(batch))
	oldest := time.Now().Add(-s.timeout)
	for i := range batch {
		if batch[i].asked.Before(oldest) {
			continue
		}
		commands[i] = s.command(ctx, &batch[i].request)
		_ = pipeline.Process(ctx, commands[i]) // it is only queued
	}
	_, _ = pipeline.Exec(ctx) // each command has its error
	var results [maxBatch]store.Result
	lost := 0
	for i := range batch {
		results[i].Err = store.ErrTimeout
		if commands[i] != nil {
			results[i] = result(batch[i].request.Op, commands[i])
		}
		if isLoss(results[i].Err) {
			lost++
		}
	}
	s.note(len(batch), lost, results[0].Err)
	for i := range batch {
		batch[i].answerer.Answer(results[i])
	}
}

func isLoss(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrTimeout)
}

// note counts the answers to a batch, and logs when Redis is lost and when it is
// back.
func (s *Store) note(answers, lost int, err error) {
	s.mu.Lock()
	s.waiting -= answers
	s.failures += uint64(lost)
	was := s.down
	s.down = lost == answers
	is := s.down
	s.mu.Unlock()
	address := s.client.Options().Addr
	switch {
	case is && !was:
		s.logger.Error("the store is not to be had", "address", address, "error", err)
	case was && !is:
		s.logger.Info("the store is back", "address", address)
	}
}

// Stats tells how the store does.
func (s *Store) Stats() store.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return store.Stats{Kind: "redis", Waiting: s.waiting, Failures: s.failures}
}

// Close waits for the answers that are due, and closes the connections.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.ended.Wait()
	return s.client.Close()
}
