package completion

// TaskCompletion is a task that runs once on a worker (IFWXTaskCompletion).
type TaskCompletion interface {
	CompleteTask(user any)
}

// TaskFunc lets a function be a TaskCompletion; it ignores the user context.
type TaskFunc func()

// CompleteTask calls f.
func (f TaskFunc) CompleteTask(any) { f() }

type postedTask struct {
	task TaskCompletion
	user any
}

// PostTaskCompletion queues a task; it runs once on this worker, with user,
// and never inside this call. It may be called from any goroutine. After
// Shutdown it is ErrPortClosed.
func (w *Worker) PostTaskCompletion(task TaskCompletion, user any) error {
	if task == nil {
		return ErrInvalidArgument
	}
	w.remote.Lock()
	if w.remote.closed {
		w.remote.Unlock()
		return ErrPortClosed
	}
	w.remote.tasks = append(w.remote.tasks, postedTask{task, user})
	w.remote.Unlock()
	w.wake()
	return nil
}

// Post queues f as a task.
func (w *Worker) Post(f func()) error { return w.PostTaskCompletion(TaskFunc(f), nil) }

// PostTaskCompletion queues a task on one of the workers, each in turn
// (IFWXFirewall::PostTaskCompletion). It is as Worker.PostTaskCompletion otherwise.
func (p *Port) PostTaskCompletion(task TaskCompletion, user any) error {
	turn := p.turns.Add(1) % uint32(len(p.workers))
	return p.workers[turn].PostTaskCompletion(task, user)
}

// Call runs f on the worker and returns when it is done. On a worker of the port
// it is ErrOnWorker.
func (w *Worker) Call(f func()) error {
	if w.port.OnWorker() {
		return ErrOnWorker
	}
	done := make(chan struct{})
	err := w.Post(func() {
		defer close(done)
		f()
	})
	if err != nil {
		return err
	}
	<-done
	return nil
}

// postAlways queues a task of the port itself, after Shutdown too.
func (w *Worker) postAlways(task TaskCompletion) {
	w.remote.Lock()
	w.remote.tasks = append(w.remote.tasks, postedTask{task: task})
	w.remote.Unlock()
	w.wake()
}

// completeRemote hands the end of an operation from a thread of the pool to
// the worker.
func (w *Worker) completeRemote(o *Overlapped) {
	w.remote.Lock()
	w.remote.ended = append(w.remote.ended, o)
	w.remote.Unlock()
	w.wake()
}

// wake makes the worker look at its remote queue, if it is asleep.
func (w *Worker) wake() {
	if w.sleeping.CompareAndSwap(true, false) {
		w.backend.wake()
	}
}

// runRemote runs what other threads queued since the last turn, or the rest of what was
// taken over before.
func (w *Worker) runRemote() {
	if !w.hasTaken() && !w.takeRemote() {
		return
	}
	var turn share
	for w.endNext < len(w.ended) && !turn.over(w) {
		o := w.ended[w.endNext]
		w.ended[w.endNext] = nil
		w.endNext++
		w.finish(o)
	}
	turn = share{} // or operations that end all the time would keep the tasks waiting
	for w.taskNext < len(w.tasks) && !turn.over(w) {
		t := w.tasks[w.taskNext]
		w.tasks[w.taskNext] = postedTask{}
		w.taskNext++
		w.guard(func() { t.task.CompleteTask(t.user) })
	}
}

// takeRemote takes over what other threads have queued; false if there is nothing.
func (w *Worker) takeRemote() bool {
	w.remote.Lock()
	defer w.remote.Unlock()
	if len(w.remote.tasks) == 0 && len(w.remote.ended) == 0 {
		return false
	}
	w.tasks, w.remote.tasks = w.remote.tasks, w.tasks[:0]
	w.ended, w.remote.ended = w.remote.ended, w.ended[:0]
	w.taskNext, w.endNext = 0, 0
	return true
}

// hasTaken reports whether some of what was taken over has not run.
func (w *Worker) hasTaken() bool { return w.endNext < len(w.ended) || w.taskNext < len(w.tasks) }

// hasRemote reports whether there is something that other threads have queued. It is called
// on w.
func (w *Worker) hasRemote() bool {
	if w.hasTaken() {
		return true
	}
	w.remote.Lock()
	defer w.remote.Unlock()
	return len(w.remote.tasks) > 0 || len(w.remote.ended) > 0
}
