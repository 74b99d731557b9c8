package completion

// appenders is the files that a port appends to. The lock of the port is taken
// before that of an appender.
type appenders map[laneKey]*Appender

// shareAppender returns the appender of the file key with one more reference.
// If there is none it is opened, which may be nil.
func (p *Port) shareAppender(key laneKey, opened *Appender) (*Appender, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrPortClosed
	}
	a := p.appenders[key]
	if a == nil && opened != nil {
		a = opened
		p.appenders[key] = a
	}
	if a != nil {
		a.mu.Lock()
		a.refs++
		a.mu.Unlock()
	}
	return a, nil
}

// removeAppender forgets an appender that has no references and nothing to
// write, or whose writing has been given up. It reports whether it did.
func (p *Port) removeAppender(a *Appender, givenUp bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.appenders[a.key] != a || a.refs > 0 || !a.closers.empty() || a.pending > 0 && !givenUp {
		return false
	}
	delete(p.appenders, a.key)
	return true
}

// eachAppender calls f with every appender, without the lock of the port.
func (p *Port) eachAppender(f func(*Appender)) {
	p.mu.Lock()
	all := make([]*Appender, 0, len(p.appenders))
	for _, a := range p.appenders {
		all = append(all, a)
	}
	p.mu.Unlock()
	for _, a := range all {
		f(a)
	}
}

// stopAppenders lets the appenders accept nothing more.
func (p *Port) stopAppenders() {
	p.eachAppender(func(a *Appender) {
		a.mu.Lock()
		a.shutdown = true
		a.mu.Unlock()
	})
}

// flushAppenders writes what is queued for the files that w is the home of.
func (w *Worker) flushAppenders() {
	w.port.eachAppender(func(a *Appender) {
		if a.home == w {
			a.run()
		}
	})
}
