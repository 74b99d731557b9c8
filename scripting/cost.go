package scripting

// What the functions of the host do for a script counts as so many of its instructions as
// would take about as long: within a factor of three for what can take long, on a machine
// where an instruction of Lua takes 25 ns in gopher-lua's loop, and from a third to all of that in our own
// (BenchmarkCost measures it anew). The count of
// a call depends on its arguments and its result only, and so is the same each time.
const (
	// bytesPerInstruction is how much copying counts as one instruction.
	bytesPerInstruction = 64
	// seekPerInstruction is how much is looked through for a fixed text.
	seekPerInstruction = 256
	// processedPerInstruction is how many bytes are hashed or translated: base64, URLs, random ones.
	processedPerInstruction = 16
	// hashCost is to begin and end a hash.
	hashCost = 15
	// mappedPerInstruction is how many bytes are changed one by one: string.upper.
	mappedPerInstruction = 32
	// quotedPerInstruction is how many bytes of a text are written as JSON.
	quotedPerInstruction = 8
	// conversionCost is a conversion of string.format.
	conversionCost = 10
	// urlCost is to take a URL apart, or to put one together.
	urlCost = 100
	// parameterCost is a parameter of a query.
	parameterCost = 20

	// movesPerInstruction is how many values are moved on the stack.
	movesPerInstruction = 8
	// shiftsPerInstruction is how many elements of a table are shifted, to insert one or to remove it.
	shiftsPerInstruction = 64

	// stepsPerInstruction is how many steps of the matcher of Lua's patterns are.
	stepsPerInstruction = 3
	// matchCost is to begin to match.
	matchCost = 2

	// searchCost is a search of an expression of fwx.re, whatever it finds.
	searchCost = 8
	// workPerInstruction is how many bytes, times instructions of the expression, are matched.
	workPerInstruction = 8
	// scanPerInstruction is how many bytes, times the instructions that a match can begin with, are
	// looked at where none begins.
	scanPerInstruction = 8
	// workPerCompiled is what the compilation of an instruction counts.
	workPerCompiled = 64
)
