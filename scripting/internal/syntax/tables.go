package syntax

import (
	"strconv"
	"strings"

	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"
)

// The compiler gathers 50 values of a constructor in registers and then stores them together. It does so again for
// each field with a key that follows, when the registers have other values; behind
// exactly 50, 100, … values it stores those of a last call over the last 50; and it
// loses the place of those after the 511th time. A call with a key, as the last field, it takes for one
// without: that is put into parentheses, as it were, where fields are walked through.

const (
	perFlush   = 50
	maxFlushes = 511
)

// appendName is a function that stores values in a table behind those that it has. It is
// declared before the chunk if a constructor needs it.
const appendName = "(append)"

const appendSource = `local function append(t, n, ...) for i = 1, arg.n do t[n + i] = arg[i] end return t end`

// mendTable gives values a key of their own, from before the place on where the compiler goes
// wrong, and has those of a last call appended.
func (m *mender) mendTable(v *ast.TableExpr) ast.Expr {
	first, count := brokenFrom(v)
	if first == 0 {
		return v
	}
	last := v.Fields[len(v.Fields)-1]
	many := last.Key == nil && givesMany(last.Value)
	if many {
		v.Fields = v.Fields[:len(v.Fields)-1]
	}
	index := 0
	for _, field := range v.Fields {
		if field.Key != nil {
			continue
		}
		if index++; index >= first {
			field.Key = at(&ast.NumberExpr{Value: strconv.Itoa(index)}, field.Value)
		}
	}
	if !many {
		return v
	}
	m.appends = true
	values := at(&ast.NumberExpr{Value: strconv.Itoa(count)}, v)
	return at(&ast.FuncCallExpr{Func: ident(v, appendName), Args: []ast.Expr{v, values, last.Value}, AdjustRet: true}, v)
}

// appending is the declaration of the function that appends.
func appending() ast.Stmt {
	chunk, err := parse.Parse(strings.NewReader(appendSource), "append")
	if err != nil {
		panic(err)
	}
	declared := chunk[0].(*ast.LocalAssignStmt) //nolint:forcetypeassert // it is written above
	declared.Names[0] = appendName
	return declared
}

// brokenFrom returns from which value on the values need keys, or 0, and how many values
// there are, but for those of a last call.
func brokenFrom(v *ast.TableExpr) (first, count int) {
	for i, field := range v.Fields {
		many := field.Key == nil && i == len(v.Fields)-1 && givesMany(field.Value)
		full := count > 0 && count%perFlush == 0
		if first == 0 && full && (field.Key != nil || many || count == perFlush*maxFlushes) {
			first = count
		}
		if field.Key == nil && !many {
			count++
		}
	}
	return first, count
}
