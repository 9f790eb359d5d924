// Temporary: signatures that other parts supply. Each owner deletes its lines when the real thing lands.
import CPrimitives

// native
func nativeHandler(_ i: UnsafeMutablePointer<tz_instruction>, model: CPUModel) -> tz_handler? { nil }
extension CPU {
    func exportXSAVE() -> [UInt8] { [] }
    func importXSAVE(_ i: [UInt8]) {}
}
