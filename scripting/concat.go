package scripting

import (
	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"

	"fwx/scripting/internal/number"
)

// A string that is doubled forty times over would fill any memory, within a
// hundred instructions. The interpreter's ".." knows no bound; so each one is
// compiled as a call of a function of the host, which has one. The function
// reaches the code as a local variable around all of it, with a name that cannot
// be spelt.

// concatName is the variable.
const concatName = "(concat)"

// guardConcats wraps a chunk into a function that is given the function for "..",
// and returns the chunk as a function.
func guardConcats(chunk []ast.Stmt) []ast.Stmt {
	var r rewriter
	r.block(chunk)
	variable := &ast.LocalAssignStmt{Names: []string{concatName}, Exprs: []ast.Expr{&ast.Comma3Expr{}}}
	body := &ast.FunctionExpr{ParList: &ast.ParList{HasVargs: true}, Stmts: chunk}
	if n := len(chunk); n > 0 {
		body.SetLastLine(chunk[n-1].LastLine())
	}
	return []ast.Stmt{variable, &ast.ReturnStmt{Exprs: []ast.Expr{body}}}
}

// instantiate returns the chunk that a prototype was compiled from as a function.
func (s *state) instantiate(proto *prototype) *lua.LFunction {
	if s.concat == nil {
		s.concat = s.L.NewFunction(s.concatenate)
	}
	s.L.Push(s.L.NewFunctionFromProto(proto))
	s.L.Push(s.concat)
	s.L.Call(1, 1)
	fn := s.L.CheckFunction(-1)
	s.L.Pop(1)
	return fn
}

// concatenate is "..", of two operands or more.
func (s *state) concatenate(L *lua.LState) int {
	n, size := L.GetTop(), 0
	for i := 1; i <= n; i++ {
		switch v := L.Get(i).(type) {
		case lua.LString:
			size += len(v)
		case lua.LNumber:
			var digits [number.MaxText]byte
			size += len(number.Append(digits[:0], float64(v)))
		default:
			return s.concatenateSlowly(L)
		}
	}
	s.checkSize(L, size)
	out := make([]byte, 0, size)
	for i := 1; i <= n; i++ {
		switch v := L.Get(i).(type) {
		case lua.LString:
			out = append(out, v...)
		case lua.LNumber:
			out = number.Append(out, float64(v))
		}
	}
	return give(L, textOf(out))
}

// checkSize raises an error if a string of a size is too large, and counts it.
func (s *state) checkSize(L *lua.LState, size int) {
	if size > maxStringSize {
		L.RaiseError("a string of more than %d MiB", maxStringSize>>20)
	}
	s.meter.chargeBytes(size)
}

// concatenateSlowly is concatenate with operands that are neither strings nor
// numbers: from the right, two at a time.
func (s *state) concatenateSlowly(L *lua.LState) int {
	n := L.GetTop()
	right := L.Get(n)
	for i := n - 1; i >= 1; i-- {
		right = s.concatenatePair(L, L.Get(i), right)
	}
	return give(L, right)
}

func (s *state) concatenatePair(L *lua.LState, left, right lua.LValue) lua.LValue {
	if lua.LVCanConvToString(left) && lua.LVCanConvToString(right) {
		first, second := plainText(left), plainText(right)
		s.checkSize(L, len(first)+len(second))
		return lua.LString(first + second)
	}
	method := L.GetMetaField(left, "__concat")
	if method == lua.LNil {
		method = L.GetMetaField(right, "__concat")
	}
	if method == lua.LNil {
		wrong := left
		if lua.LVCanConvToString(left) {
			wrong = right
		}
		L.RaiseError("attempt to concatenate a %s value", wrong.Type().String())
	}
	L.Push(method)
	L.Push(left)
	L.Push(right)
	L.Call(2, 1)
	result := L.Get(-1)
	L.Pop(1)
	return result
}

// rewriter replaces every ".." in a syntax tree.
type rewriter struct{}

func (r rewriter) block(statements []ast.Stmt) {
	for _, statement := range statements {
		r.statement(statement)
	}
}

func (r rewriter) statement(statement ast.Stmt) {
	switch v := statement.(type) {
	case *ast.AssignStmt:
		r.list(v.Lhs)
		r.list(v.Rhs)
	case *ast.LocalAssignStmt:
		r.list(v.Exprs)
	case *ast.FuncCallStmt:
		r.replace(&v.Expr)
	case *ast.DoBlockStmt:
		r.block(v.Stmts)
	case *ast.WhileStmt:
		r.replace(&v.Condition)
		r.block(v.Stmts)
	case *ast.RepeatStmt:
		r.replace(&v.Condition)
		r.block(v.Stmts)
	case *ast.IfStmt:
		r.replace(&v.Condition)
		r.block(v.Then)
		r.block(v.Else)
	case *ast.NumberForStmt:
		r.replace(&v.Init)
		r.replace(&v.Limit)
		r.replace(&v.Step)
		r.block(v.Stmts)
	case *ast.GenericForStmt:
		r.list(v.Exprs)
		r.block(v.Stmts)
	case *ast.FuncDefStmt:
		r.replace(&v.Name.Func)
		r.replace(&v.Name.Receiver)
		r.block(v.Func.Stmts)
	case *ast.ReturnStmt:
		r.list(v.Exprs)
	}
}

func (r rewriter) list(expressions []ast.Expr) {
	for i := range expressions {
		r.replace(&expressions[i])
	}
}

// replace rewrites an expression in its place.
func (r rewriter) replace(place *ast.Expr) {
	switch v := (*place).(type) {
	case *ast.StringConcatOpExpr:
		*place = r.call(v)
	case *ast.AttrGetExpr:
		r.replace(&v.Object)
		r.replace(&v.Key)
	case *ast.TableExpr:
		for _, field := range v.Fields {
			r.replace(&field.Key)
			r.replace(&field.Value)
		}
	case *ast.FuncCallExpr:
		r.replace(&v.Func)
		r.replace(&v.Receiver)
		r.list(v.Args)
	case *ast.LogicalOpExpr:
		r.replace(&v.Lhs)
		r.replace(&v.Rhs)
	case *ast.RelationalOpExpr:
		r.replace(&v.Lhs)
		r.replace(&v.Rhs)
	case *ast.ArithmeticOpExpr:
		r.replace(&v.Lhs)
		r.replace(&v.Rhs)
	case *ast.UnaryMinusOpExpr:
		r.replace(&v.Expr)
	case *ast.UnaryNotOpExpr:
		r.replace(&v.Expr)
	case *ast.UnaryLenOpExpr:
		r.replace(&v.Expr)
	case *ast.FunctionExpr:
		r.block(v.Stmts)
	}
}

// call makes one call of "a .. b .. c", which associates to the right.
func (r rewriter) call(concat *ast.StringConcatOpExpr) ast.Expr {
	name := &ast.IdentExpr{Value: concatName}
	call := &ast.FuncCallExpr{Func: name, AdjustRet: true}
	for _, node := range []ast.PositionHolder{name, call} {
		node.SetLine(concat.Line())
		node.SetLastLine(concat.LastLine())
	}
	for more := true; more; {
		call.Args = append(call.Args, concat.Lhs)
		var next *ast.StringConcatOpExpr
		if next, more = concat.Rhs.(*ast.StringConcatOpExpr); more {
			concat = next
		}
	}
	call.Args = append(call.Args, concat.Rhs)
	r.list(call.Args)
	for _, arg := range call.Args {
		single(arg)
	}
	return call
}

// single makes a call or "..." as the last argument give one value, as it does
// beside "..".
func single(arg ast.Expr) {
	switch v := arg.(type) {
	case *ast.FuncCallExpr:
		v.AdjustRet = true
	case *ast.Comma3Expr:
		v.AdjustRet = true
	}
}
