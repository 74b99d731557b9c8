package main

import "os"

// reloadSignals returns no signals: Windows has none that ask for a reload.
func reloadSignals() (<-chan os.Signal, func()) { return nil, func() {} }
