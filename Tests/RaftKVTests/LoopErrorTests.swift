import RaftKV
import Testing

@Suite("LoopError")
struct LoopErrorTests {
  @Test("errors have the system's names and libuv's words")
  func words() {
    #expect(LoopError.connectionRefused.description == "ECONNREFUSED: connection refused")
    #expect(LoopError.addressInUse.name == "EADDRINUSE")
    #expect(LoopError(code: -12345).name.contains("12345"))
  }
}
