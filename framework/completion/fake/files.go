package fake

import (
	"os"
	"slices"

	"fwx/framework/completion/internal/memory"
)

// WriteFile makes a file, and the directories above it. Who watches it is told.
func (m *Machine) WriteFile(name string, data []byte) { m.system.WriteFile(name, data) }

// ReadFile returns what a file has.
func (m *Machine) ReadFile(name string) ([]byte, error) { return m.system.ReadFile(name) }

// Mkdir makes a directory, and those above it.
func (m *Machine) Mkdir(name string) error { return m.system.Mkdir(name) }

// Remove removes a file or an empty directory.
func (m *Machine) Remove(name string) error { return m.system.Remove(name) }

// Files returns the names of all files, in order.
func (m *Machine) Files() []string { return m.system.Files() }

// Stat tells what a name stands for.
func (m *Machine) Stat(name string) (os.FileInfo, error) { return m.system.Stat(name) }

// FileOps are the operations that FailFile tells apart.
func FileOps() []string { return slices.Clone(memory.Ops) }

// FailFile has an operation, one of FileOps, fail with err on a file, or on everything
// beneath a directory, until MendFile; an empty op means all of them. What was said
// last counts.
func (m *Machine) FailFile(name, op string, err error) { m.system.Fail(name, op, err) }

// MendFile ends what FailFile has begun for a name.
func (m *Machine) MendFile(name string) { m.system.Mend(name) }
