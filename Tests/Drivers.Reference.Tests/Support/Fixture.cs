// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Options;

namespace PasidFramework.Drivers.Reference.Tests;

/// <summary>A clock on which every reading takes a tenth of a second.</summary>
internal sealed class SteppingClock : TimeProvider
{
    private long _now;
    public override long TimestampFrequency => 10;
    public override long GetTimestamp() => Interlocked.Increment(ref _now);
}

/// <summary>A clock that stands still.</summary>
internal sealed class StoppedClock : TimeProvider
{
    public override long GetTimestamp() => 1;
}

/// <summary>Registers that can answer wrongly.</summary>
internal sealed class FaultyRegisters(IRegisterFile inner) : IRegisterFile
{
    private ulong? _status;
    private int _commands;
    private ulong _word0;

    /// <summary>The number of the command that does not reach the hardware, counted from now on; null for
    /// none.</summary>
    public int? Breaks { get; private set; }

    /// <summary>What a register reads as instead; for registers that are not there.</summary>
    public Dictionary<int, ulong> Stuck { get; } = [];

    /// <summary>Commands that were sent since <see cref="Break"/>.</summary>
    public int Commands => _commands;

    /// <summary>All commands that were sent.</summary>
    public List<Command> Sent { get; } = [];

    /// <summary>The command of that number, from 0, is lost, and COMMAND_STATUS shows this afterwards.</summary>
    public void Break(int command, ulong status)
    {
        _commands = 0;
        _status = null;
        Breaks = command;
        BrokenStatus = status;
    }

    /// <summary>All is well again.</summary>
    public void Mend()
    {
        Breaks = null;
        _status = null;
    }

    private ulong BrokenStatus { get; set; }
    public uint Read32(int offset) => inner.Read32(offset);

    public ulong Read64(int offset) => offset == Registers.COMMAND_STATUS && _status is { } status ? status
        : Stuck.TryGetValue(offset, out ulong value) ? value
        : inner.Read64(offset);

    public void Write32(int offset, uint value) => inner.Write32(offset, value);

    public void Write64(int offset, ulong value)
    {
        if (offset == Registers.COMMAND_1)
        {
            _status = null;
            Sent.Add(new Command(_word0, value));
            if (_commands++ == Breaks)
            {
                _status = BrokenStatus;
                return;
            }
        }

        _word0 = offset == Registers.COMMAND_0 ? value : _word0;
        inner.Write64(offset, value);
    }
}

/// <summary>A model, the driver on it, and the core above.</summary>
internal sealed class Fixture : IIommuHardware
{
    public const ulong Address = 0x7F00_1234_5000;
    public static readonly RequesterId Nic = new(0x118);
    public static readonly RequesterId Gpu = new(0x2A0);
    private readonly TimeProvider _time;
    private readonly (string Name, string Value)[] _options;
    private int _nextPid = 1;

    public Fixture(
        HardwareSetup? setup = null,
        TimeProvider? time = null,
        StoreOrder order = StoreOrder.Immediate,
        params (string Name, string Value)[] options)
    {
        HardwareSetup hardware = setup ?? new HardwareSetup();
        Model = new ReferenceModel(new ModelMemory(hardware.Coherent, order), hardware);
        Faulty = new FaultyRegisters(Model.Registers);
        Failing = new ObservedMemory(Model.ModelMemory) { IsRecording = false };
        _time = time ?? TimeProvider.System;
        _options = options.Length > 0 ? options : [("requester-bits", "10")];
    }

    public ReferenceModel Model { get; }
    public ModelMemory Ram => Model.ModelMemory;
    public FaultyRegisters Faulty { get; }
    public ObservedMemory Failing { get; }
    public IPhysicalMemory Memory => Failing;
    public IRegisterFile Registers => Faulty;
    public bool IsCoherent => Model.IsCoherent;
    public IIommuUnit Unit => field ??= Ok(Start());

    public IommuCore Core => field ??= new IommuCore(new OptionsWrapper<PasidOptions>(new PasidOptions
    {
        Ownership = PasidOptions.OwnershipVendor,
    }));

    public IommuInstance Instance => field ??= Core.AddInstance("reference", Unit);

    public static HardwareSetup With(params (string Name, string Value)[] options) =>
        new() { Options = options.ToDictionary(o => o.Name, o => o.Value) };

    public static T Ok<T>(OpResult<T> result)
    {
        Assert.True(result.IsOk, result.ToString());
        return result.Value!;
    }

    public static void Ok(OpResult result) => Assert.True(result.IsOk, result.ToString());

    public OpResult<IIommuUnit> Start() => new ReferenceDriver().CreateUnit(new UnitSetup
    {
        Name = "ref0",
        Hardware = this,
        Time = _time,
        Options = _options.ToDictionary(o => o.Name, o => o.Value),
    });

    public Domain Domain(int bits = 20, string name = "domain") => Ok(Core.CreateDomain(Instance, name, bits));

    public Device Device(
        Domain domain, RequesterId requester, DeviceFeatures features = DeviceFeatures.Ats, uint first = 1) =>
        Ok(TryDevice(domain, requester, features, first));

    public OpResult<Device> TryDevice(
        Domain domain, RequesterId requester, DeviceFeatures features = DeviceFeatures.Ats, uint first = 1) =>
        Core.AddDevice(domain, $"{requester}", requester, new PasidRange(first, Pasid.MaxValue), features);

    public TestProcess Process(string? name = null)
    {
        int pid = _nextPid++;
        var process = new TestProcess(
            name ?? $"process {pid}",
            pid,
            Ok(new ReferencePageTableFormat().Create(Ram)),
            ((ulong)pid << 24) | 0x4_0000_0000);
        process.Map(Address);
        return process;
    }

    public TranslationResult Translate(in DmaAccess access) => Model.Translate(access);

    public TranslationResult Read(RequesterId requester, uint? pasid, ulong address = Address) =>
        Model.Translate(new DmaAccess(requester, pasid is { } p ? new Pasid(p) : null, address, false));

    public TranslationResult Write(RequesterId requester, uint? pasid, ulong address = Address) =>
        Model.Translate(new DmaAccess(requester, pasid is { } p ? new Pasid(p) : null, address, true));

    public void Dispose() => Model.Dispose();
}

/// <summary>A process with a page at <see cref="Fixture.Address"/>.</summary>
internal sealed class TestProcess(string name, int pid, IPageTable tables, ulong target) : IAddressSpace
{
    public IPageTable Tables { get; } = tables;

    /// <summary>Where the page lies.</summary>
    public ulong Target { get; private set; } = target;

    public AddressSpaceId Id { get; } = new((ulong)pid);
    public int Pid => pid;
    public string Name => name;
    public ulong PageTableRoot => Tables.Root;
    public bool IsAlive { get; private set; } = true;

    public void Map(ulong address, bool writable = true)
    {
        Target += 0x1000;
        Fixture.Ok(Tables.Map(address, Target, writable));
    }

    public void End(IommuCore core)
    {
        IsAlive = false;
        core.ProcessEnded(this);
    }
}

/// <summary>Nothing is cached: a barrier is all that a change of a table needs.</summary>
internal sealed class OrderingSync(IPhysicalMemory memory) : IPasidTableSync
{
    public OpResult ConfigurationChanged(Pasid pasid, bool leafOnly)
    {
        memory.StoreBarrier();
        return OpResult.Ok;
    }

    public OpResult TranslationsChanged(Pasid pasid, uint archId) => OpResult.Ok;
}
