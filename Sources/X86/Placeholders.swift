// Temporary: signatures that other parts supply. Each owner deletes its lines when the real thing lands.
import CPrimitives

// system
func systemHandler(_ i: UnsafeMutablePointer<tz_instruction>) -> tz_handler? { nil }
// native
func nativeHandler(_ i: UnsafeMutablePointer<tz_instruction>, model: CPUModel) -> tz_handler? { nil }
enum MSR {
    static let efer: UInt32 = 0xc000_0080, star: UInt32 = 0xc000_0081, lstar: UInt32 = 0xc000_0082
    static let cstar: UInt32 = 0xc000_0083, sfmask: UInt32 = 0xc000_0084, kernelGSBase: UInt32 = 0xc000_0102
    static let tscAux: UInt32 = 0xc000_0103, sysenterCS: UInt32 = 0x174, sysenterESP: UInt32 = 0x175
    static let sysenterEIP: UInt32 = 0x176, pat: UInt32 = 0x277, tscAdjust: UInt32 = 0x3b, miscEnable: UInt32 = 0x1a0
    static let debugctl: UInt32 = 0x1d9, specCtrl: UInt32 = 0x48, xss: UInt32 = 0xda0
}
struct MemoryTypeRanges { var all: [(UInt32, UInt64)] { [] }; subscript(number: UInt32) -> UInt64? { get { nil } set {} } }
extension CPU {
    func deliverPendingFault() {}
    func deliverNMI() {}
    func deliverInterrupt(vector: UInt8) {}
    func checkInstructionBreakpoint() throws(GuestFault) -> Bool { false }
    func finishStep(trapFlag: Bool) {}
    func exportXSAVE() -> [UInt8] { [] }
    func importXSAVE(_ i: [UInt8]) {}
}
