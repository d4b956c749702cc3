// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests.Support;

/// <summary>The stand-in device with a layer over its registers: they can be recorded, changed or made deaf.</summary>
internal sealed class TestHardware : IIommuHardware, IRegisterFile
{
    public TestHardware(ObservedMemory memory, HardwareSetup setup)
    {
        Device = new VirtioIommuHardware(memory, setup, new ArmSmmu.Reader.SmmuTableReader()) { LogCapacity = 4096 };
        TestMemory = memory;
        memory.IsRecording = false;
    }

    public VirtioIommuHardware Device { get; }
    public ObservedMemory TestMemory { get; }

    /// <summary>What a register reads as, in place of the device's value.</summary>
    public Dictionary<int, Func<uint, uint>> ReadOverrides { get; } = [];

    /// <summary>Whether a write reaches the device.</summary>
    public Func<int, uint, bool> AcceptsWrite { get; set; } = (_, _) => true;

    public List<(int Offset, uint Value)> Writes { get; } = [];
    public IPhysicalMemory Memory => TestMemory;
    public IRegisterFile Registers => this;
    public bool IsCoherent => Device.IsCoherent;

    /// <summary>From now on the device hears of no work, until <see cref="Wake"/>.</summary>
    public void Deafen() => AcceptsWrite = (offset, _) => offset != MmioRegister.QueueNotify;

    public void Wake()
    {
        AcceptsWrite = (_, _) => true;
        Device.Registers.Write32(MmioRegister.QueueNotify, QueueIndex.Request);
    }

    public TranslationResult Translate(in DmaAccess access) => Device.Translate(access);
    public void Dispose() => Device.Dispose();

    public uint Read32(int offset)
    {
        uint value = Device.Registers.Read32(offset);
        return ReadOverrides.TryGetValue(offset, out Func<uint, uint>? change) ? change(value) : value;
    }

    public ulong Read64(int offset) => Read32(offset) | ((ulong)Read32(offset + 4) << 32);

    public void Write32(int offset, uint value)
    {
        lock (Writes)
        {
            Writes.Add((offset, value));
        }

        TestMemory.Note(StepKind.Register, (ulong)offset, value);
        if (AcceptsWrite(offset, value))
        {
            Device.Registers.Write32(offset, value);
        }
    }

    public void Write64(int offset, ulong value)
    {
        Write32(offset, (uint)value);
        Write32(offset + 4, (uint)(value >> 32));
    }
}
