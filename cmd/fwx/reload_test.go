package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"fwx/framework"
	"fwx/framework/fwxtest"
)

// TestSave sees that a script is live when it is saved, in whatever way editors do
// so, that open connections keep what they have, and that one with a mistake is
// reported and changes nothing.
func TestSave(t *testing.T) {
	r := newRunning(t, wordConfig)
	first := r.dial()
	first.says("one")
	rename := func(from, to string) {
		t.Helper()
		if err := os.Rename(r.path(from), r.path(to)); err != nil {
			t.Fatal(err)
		}
	}
	const script = "scripts/word.lua"
	ways := []struct {
		word string
		save func(text string)
	}{
		{"in-place", func(text string) { r.write(script, text) }},
		{"renamed-over", func(text string) { r.write(script+".new", text); rename(script+".new", script) }},
		{"old-renamed-away", func(text string) { rename(script, script+"~"); r.write(script, text) }},
		{"removed-before", func(text string) {
			if err := os.Remove(r.path(script)); err != nil {
				t.Fatal(err)
			}
			r.write(script, text)
		}},
		{"in-pieces", func(text string) {
			f, err := os.Create(r.path(script))
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range strings.SplitAfter(text, "\n") {
				if _, err := f.WriteString(line); err != nil {
					t.Fatal(err)
				}
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, way := range ways {
		before := strings.Count(r.printed.String(), "msg=reloaded")
		way.save(wordScript(way.word))
		fwxtest.Eventually(t, time.Minute, "it is reloaded: "+way.word, func() bool { return strings.Count(r.printed.String(), "msg=reloaded") > before })
		first.says("one")
		r.dial().says(way.word)
	}
	r.prints(`changed="filter word"`)

	r.write(script, "return {\n  on_data = function(conn, chunk\n}\n")
	r.prints("not reloaded: the old configuration stays")
	r.prints("scripts/word.lua:3: ")
	first.says("one")
	r.dial().says(ways[len(ways)-1].word)

	r.write(script, wordScript("mended"))
	r.prints("generation=7")
	first.says("one")
	r.dial().says("mended")
}

// TestSaveConfiguration changes the configuration: a mistake in it is told with its
// place, files that it names anew are watched, and so are modules.
func TestSaveConfiguration(t *testing.T) {
	r := newRunning(t, wordConfig)
	text := readFile(t, r.path("config.toml"))
	edit := func(from, to string) { r.write("config.toml", strings.ReplaceAll(text, from, to)) }
	edit(`filters = ["word"]`, `filters = ["wrod"]`)
	r.prints(`config.toml:15:12: listener.filters[0]: unknown filter \"wrod\"`)
	r.dial().says("one")
	edit(`workers = 2`, `workers = 3`)
	r.prints(`config.toml:3:1: service.workers: cannot be changed from 2 while the service runs: restart it`)
	edit("scripts/word.lua", "other/other.lua")
	r.prints("other.lua: ")

	r.write("other/lib/word.lua", `return "two"`)
	r.write("other/other.lua", strings.ReplaceAll(wordScript("XX"), `"XX "`, `require("lib.word") .. " "`))
	edit("scripts/word.lua", `other/other.lua" #"`)
	r.prints("generation=2")
	r.dial().says("two") // this requires the module
	r.write("other/lib/word.lua", `return "three"`)
	r.prints("generation=3")
	r.dial().says("three")
}

// TestWatcher sees what a look finds, and what is watched.
func TestWatcher(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	write(t, path, "1")
	w := newWatcher(slog.New(slog.DiscardHandler))
	defer w.close()
	w.enabled = true
	files := []framework.File{{Path: path, Sum: sumOf(path)}}
	look := func(what string, want bool) {
		t.Helper()
		if changed, _ := w.look(files); changed != want {
			t.Errorf("%s: changed is %t", what, changed)
		}
	}
	look("as it was read", false)
	write(t, path, "2")
	look("written", true)
	look("seen already", false)
	files[0].Sum = sumOf(path) // it is read
	look("read", false)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	look("removed", true)
	look("still removed", false)
	if got := w.notify.WatchList(); !slices.Equal(got, []string{dir}) {
		t.Errorf("watched: %v", got)
	}
	write(t, path, "3")
	w.enabled = false
	look("written, but not enabled", false)
	if got := w.notify.WatchList(); len(got) > 0 {
		t.Errorf("watched: %v", got)
	}
	w.enabled = true
	look("enabled again", true)
	old := time.Now().Add(-time.Hour)
	age := func() {
		t.Helper()
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	age()
	look("another time", false)
	write(t, path, "4")
	age()
	look("written, as if it were not", false) // it is not read
	w.touched = true
	look("written, as if it were not, but the system tells", true)
	write(t, path, "5")
	look("written, and it is to be seen", true)
	age()
	if ofInterest(fsnotify.Event{Op: fsnotify.Chmod}) || w.touched {
		t.Error("a change of permissions is of interest")
	}
	if d := w.saw(); !ofInterest(fsnotify.Event{Op: fsnotify.Write}) || d <= 0 || d > settleTime || !w.touched {
		t.Errorf("a write is of interest in %v", d)
	}
	w.began = w.began.Add(-settleLimit) // things have been happening for that long
	if d := w.saw(); d > time.Millisecond {
		t.Errorf("a write after many is of interest in %v", d)
	}
}
