// Temporary: signatures that other parts supply. Each owner deletes its lines when the real thing lands.
import CPrimitives

// system
func systemHandler(_ i: UnsafeMutablePointer<tz_instruction>) -> tz_handler? { nil }
// integer
func integerHandler(_ i: UnsafeMutablePointer<tz_instruction>) -> tz_handler? { nil }
// native
func nativeHandler(_ i: UnsafeMutablePointer<tz_instruction>, model: CPUModel) -> tz_handler? { nil }
