// Temporary: signatures that other parts supply. Each owner deletes its lines when the real thing lands.
import CPrimitives

// native
func nativeHandler(_ i: UnsafeMutablePointer<tz_instruction>, model: CPUModel) -> tz_handler? { nil }
enum NativeTable {
    static func lookup(map: UInt8, prefix: UInt8, vex: Bool, l: Bool, w: Bool, opcode: UInt8, modrm: UInt8) -> UInt16? { nil }
    static func hasModRM(_ row: UInt16) -> Bool { true }
    static func hasImmediate(_ row: UInt16) -> Bool { false }
}
extension CPU {
    func exportXSAVE() -> [UInt8] { [] }
    func importXSAVE(_ i: [UInt8]) {}
}
