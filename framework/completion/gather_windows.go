package completion

// canGather: WriteFileGather of Windows takes whole pages, unbuffered, only.
const canGather = false
