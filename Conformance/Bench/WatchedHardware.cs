using PasidFramework.Hardware;

namespace PasidFramework.Conformance.Bench;

/// <summary>What a driver sees of a machine in a case: the machine, behind memory and registers that are watched.</summary>
internal sealed class WatchedHardware(ITestHardware machine) : IIommuHardware
{
    private readonly WatchedRegisters _registers = new(machine.Registers);

    public WatchedMemory Watched { get; } = new(machine.Memory);

    public IPhysicalMemory Memory => Watched;

    public IRegisterFile Registers => _registers;

    public bool IsCoherent => machine.IsCoherent;

    /// <summary>From here on the registers neither change nor take anything, as with hardware that hangs.</summary>
    public void Hang() => _registers.Hangs = true;

    public TranslationResult Translate(in DmaAccess access) => machine.Translate(access);

    public void Dispose()
    {
        // The machine belongs to the rig.
    }

    private sealed class WatchedRegisters(IRegisterFile inner) : IRegisterFile
    {
        public bool Hangs { get; set; }

        public uint Read32(int offset) => inner.Read32(offset);

        public ulong Read64(int offset) => inner.Read64(offset);

        public void Write32(int offset, uint value)
        {
            if (!Hangs)
            {
                inner.Write32(offset, value);
            }
        }

        public void Write64(int offset, ulong value)
        {
            if (!Hangs)
            {
                inner.Write64(offset, value);
            }
        }
    }
}
