// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tests.Support;

/// <summary>Hardware with registers that a test can bend, and a unit on it.</summary>
internal sealed class Fixture : IIommuHardware
{
    private readonly SmmuHardware _hardware;

    public Fixture(
        HardwareSetup? setup = null, IPhysicalMemory? memory = null, params (string Name, string Value)[] options)
    {
        setup ??= new HardwareSetup();
        var all = new Dictionary<string, string> { ["log"] = "100000" };
        foreach ((string name, string value) in options)
        {
            all[name] = value;
        }

        Memory = memory ?? new SystemMemory();
        _hardware = (SmmuHardware)new SmmuDriver().CreateHardware(Memory, setup with { Options = all });
        Bent = new ObservedRegisters(_hardware.Registers);
    }

    public Fixture(params (string Name, string Value)[] options)
        : this(null, null, options)
    {
    }

    public IPhysicalMemory Memory { get; }
    public IRegisterFile Registers => Bent;
    public ObservedRegisters Bent { get; }
    public SmmuRegisterFile File => _hardware.RegisterFile;
    public bool IsCoherent => _hardware.IsCoherent;

    public long AllocatedBytes => Memory switch
    {
        SystemMemory system => system.AllocatedBytes,
        ObservedMemory recording => recording.AllocatedBytes,
        _ => throw new InvalidOperationException(),
    };

    public TranslationResult Translate(in DmaAccess access) => _hardware.Translate(access);

    public TranslationResult Read(uint sid, uint? pasid, ulong address = 0x7f00_1234_5678) =>
        Translate(new DmaAccess(new RequesterId(sid), pasid is { } p ? new Pasid(p) : null, address, IsWrite: false));

    public OpResult<IIommuUnit> TryStart(int pasidBits = 20, params (string Name, string Value)[] options) =>
        new SmmuDriver().CreateUnit(new UnitSetup
        {
            Name = "smmu0",
            Hardware = this,
            PasidBits = pasidBits,
            Options = options.ToDictionary(o => o.Name, o => o.Value),
        });

    public SmmuUnit Start(int pasidBits = 20, params (string Name, string Value)[] options)
    {
        OpResult<IIommuUnit> unit = TryStart(pasidBits, options);
        Assert.True(unit.IsOk, unit.ToString());
        File.ClearLog();
        return (SmmuUnit)unit.Value;
    }

    /// <summary>What was consumed since the last call, read by the independent decoder.</summary>
    public string[] TakeLog()
    {
        SmmuCommand[] log = File.Log();
        File.ClearLog();
        return [.. log.Select(c => DecodedCommand.From(c.Word0, c.Word1).ToString())];
    }

    /// <summary>Event records that the hardware wrote and were not consumed, four words each.</summary>
    public ulong[][] Events()
    {
        ulong queue = _hardware.Registers.Read64(0xA0);
        int log2 = (int)(queue & 31);
        uint mask = (1u << log2) - 1;
        ulong address = queue & 0x000F_FFFF_FFFF_FFE0;
        uint producer = _hardware.Registers.Read32(0x100A8);
        uint consumer = _hardware.Registers.Read32(0x100AC);
        var records = new List<ulong[]>();
        for (uint at = consumer; (at & ((mask << 1) | 1)) != (producer & ((mask << 1) | 1)); at++)
        {
            ulong record = address + ((at & mask) * 32UL);
            records.Add([.. Enumerable.Range(0, 4).Select(i => Memory.ReadQword(record + ((ulong)i * 8)))]);
        }

        return [.. records];
    }

    public void Dispose() => _hardware.Dispose();
}
