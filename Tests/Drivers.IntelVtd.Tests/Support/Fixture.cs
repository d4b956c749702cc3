// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Tests;

/// <summary>A clock on which every reading takes a tenth of a second.</summary>
internal sealed class SteppingClock : TimeProvider
{
    private long _now;
    public override long TimestampFrequency => 10;
    public override long GetTimestamp() => Interlocked.Increment(ref _now);
}

/// <summary>Hardware, memory that records, and a unit on them.</summary>
internal sealed class Fixture : IIommuHardware
{
    public const int GSTS = 0x1C;
    public const int IQT = 0x88;
    public static readonly RequesterId Nic = new(0x0118);
    public static readonly RequesterId Gpu = new(0x02A0);

    public Fixture(
        HardwareSetup? hardware = null,
        Func<ObservedMemory, HardwareSetup, VtdHardware>? make = null,
        TimeProvider? time = null,
        params (string Name, string Value)[] options)
    {
        HardwareSetup setup = hardware ?? new HardwareSetup();
        Model = make is null
            ? new VtdHardware(Recorder, setup, setup.Coherent ? null : Recorder.Walker)
            : make(Recorder, setup);
        TestRegisters = new ObservedRegisters(Model.Registers, Recorder);
        UnitSetup = new UnitSetup
        {
            Name = "dmar0",
            Hardware = this,
            Time = time ?? TimeProvider.System,
            Options = options.ToDictionary(o => o.Name, o => o.Value),
        };
    }

    public ObservedMemory Recorder { get; } = new();
    public VtdHardware Model { get; }
    public ObservedRegisters TestRegisters { get; }
    public UnitSetup UnitSetup { get; }
    public IPhysicalMemory Memory => Recorder;
    public IRegisterFile Registers => TestRegisters;
    public bool IsCoherent => Model.IsCoherent;
    public VtdUnit Unit => field ??= Ok(VtdUnit.Start(UnitSetup));

    public static HardwareSetup With(params (string Name, string Value)[] options) =>
        new() { Options = options.ToDictionary(o => o.Name, o => o.Value) };

    public static T Ok<T>(OpResult<T> result)
    {
        Assert.True(result.IsOk, result.ToString());
        return result.Value!;
    }

    public static void Ok(OpResult result) => Assert.True(result.IsOk, result.ToString());
    public TranslationResult Translate(in DmaAccess access) => Model.Translate(access);

    public TranslationResult Read(RequesterId requester, uint? pasid, ulong address = 0x7f00_1234_5678) =>
        Model.Translate(new DmaAccess(requester, pasid is { } p ? new Pasid(p) : null, address, false));

    public (VtdDomain Domain, VtdDevice Device) AddDevice(
        RequesterId requester, DeviceFeatures features = DeviceFeatures.None, int pasidBits = 20)
    {
        VtdDomain domain = Ok(Unit.AddDomain(pasidBits));
        return (domain, Ok(Unit.AddDevice(requester, features, domain)));
    }

    /// <summary>Descriptors that an action had consumed.</summary>
    public ulong[][] Consumed(Action action)
    {
        long before = Model.Log.Total;
        action();
        return Model.Log.Since(before);
    }

    /// <summary>Names of the descriptors that an action had consumed, in short.</summary>
    public string Sequence(Action action) => string.Join(' ', Consumed(action).Select(Short));

    /// <summary>What an action did, in order.</summary>
    public List<MemoryStep> Did(Action action)
    {
        int before = Recorder.Steps.Count;
        action();
        return Recorder.Steps[before..];
    }

    public void Dispose() => Model.Dispose();

    private static string Short(ulong[] words)
    {
        ulong type = words[0] & 0xF;
        ulong granularity = (words[0] >> 4) & 3;
        return type switch
        {
            1 => $"CC{granularity}",
            2 => $"IOTLB{granularity}",
            3 => $"DEV:{(words[0] >> 32) & 0xFFFF:x4}",
            5 => ((words[0] >> 6) & 3) switch { 0 => "wait", 1 => "fence", 2 => "drain", _ => "?" },
            6 => $"PIOTLB{granularity}",
            7 => $"PC{granularity}",
            8 => $"PDEV:{(words[0] >> 16) & 0xFFFF:x4}",
            _ => $"type{type}",
        };
    }
}
