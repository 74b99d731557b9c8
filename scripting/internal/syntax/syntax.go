// Package syntax parses Lua, and tells mistakes in the form of all others.
package syntax

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"
)

// Compile compiles the text of a script. name is its path in errors, which are
// "name:line: message".
func Compile(name string, source []byte) (*lua.FunctionProto, error) {
	return compile(name, source, false)
}

// CompileGuarded compiles the text of a script in which every ".." is a call of a function.
// What it returns takes that function, and returns what Compile would.
func CompileGuarded(name string, source []byte) (*lua.FunctionProto, error) {
	return compile(name, source, true)
}

func compile(name string, source []byte, guards bool) (*lua.FunctionProto, error) {
	chunk, err := parse.Parse(bytes.NewReader(skipHashbang(source)), name)
	if err != nil {
		return nil, explain(name, err)
	}
	if guards {
		chunk = guarded(chunk)
	}
	proto, err := generate(name, chunk, guards)
	if err != nil {
		return nil, explain(name, err)
	}
	return proto, nil
}

// generate compiles a tree, once it has been mended.
func generate(name string, chunk []ast.Stmt, guards bool) (proto *lua.FunctionProto, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case mistake:
			err = &lua.CompileError{Line: r.line, Message: r.message}
		default: // a fault of the compiler, which must not end the program
			err = fmt.Errorf("the compiler failed: %v", r)
		}
	}()
	if proto, err = lua.Compile(mend(chunk, guards), name); err != nil {
		return nil, err
	}
	return proto, checkSize(proto)
}

// maxCode is how many instructions a function can have: jumps go no further.
const maxCode = 1<<17 - 1

func checkSize(proto *lua.FunctionProto) error {
	if len(proto.Code) > maxCode {
		return &lua.CompileError{Line: proto.LineDefined, Message: "the function is too long"}
	}
	for _, inner := range proto.FunctionPrototypes {
		if err := checkSize(inner); err != nil {
			return err
		}
	}
	return nil
}

// skipHashbang blanks a first line that begins with "#", as the lua program does.
func skipHashbang(source []byte) []byte {
	if !bytes.HasPrefix(source, []byte("#")) {
		return source
	}
	_, rest, _ := bytes.Cut(source, []byte("\n"))
	return append([]byte("\n"), rest...)
}

// explain puts the compiler's errors into the form "script:line: message".
func explain(name string, err error) error {
	if syntax, ok := errors.AsType[*parse.Error](err); ok {
		message := strings.TrimSpace(syntax.Message)
		if syntax.Pos.Line < 0 {
			return fmt.Errorf("%s: %s at the end of the script", name, message)
		}
		return fmt.Errorf("%s:%d: %s near %q", name, syntax.Pos.Line, message, syntax.Token)
	}
	if compile, ok := errors.AsType[*lua.CompileError](err); ok {
		return fmt.Errorf("%s:%d: %s", name, compile.Line, compile.Message)
	}
	return fmt.Errorf("%s: %w", name, err)
}
