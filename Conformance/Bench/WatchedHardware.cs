// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Bench;

/// <summary>What a driver sees of a machine in a case: the machine, behind memory and registers that are
/// watched.</summary>
internal sealed class WatchedHardware(ITestHardware machine) : IIommuHardware
{
    private readonly WatchedRegisters _registers = new(machine.Registers);
    public WatchedMemory Watched { get; } = new(machine.Memory);
    public IPhysicalMemory Memory => Watched;
    public IRegisterFile Registers => _registers;
    public bool IsCoherent => machine.IsCoherent;

    /// <summary>From here on the hardware is gone, as far as registers go: what is written is lost, what is read is all
    /// ones (what a PCIe root port answers where a device does not).</summary>
    public void Vanish() => _registers.IsGone = true;

    public TranslationResult Translate(in DmaAccess access) => machine.Translate(access);

    public void Dispose()
    {
        // The machine belongs to the bench.
    }

    private sealed class WatchedRegisters(IRegisterFile inner) : IRegisterFile
    {
        public bool IsGone { get; set; }
        public uint Read32(int offset) => IsGone ? uint.MaxValue : inner.Read32(offset);
        public ulong Read64(int offset) => IsGone ? ulong.MaxValue : inner.Read64(offset);

        public void Write32(int offset, uint value)
        {
            if (!IsGone)
            {
                inner.Write32(offset, value);
            }
        }

        public void Write64(int offset, ulong value)
        {
            if (!IsGone)
            {
                inner.Write64(offset, value);
            }
        }
    }
}
