using System.Globalization;
using Microsoft.Extensions.Logging;
using PasidFramework.DriverKit.Units;
using PasidFramework.Contracts;
using PasidFramework.Drivers.ArmSmmu.Formats;
using PasidFramework.Drivers.ArmSmmu.Queues;
using PasidFramework.Drivers.ArmSmmu.Tables;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Records;
using PasidFramework.Results;

namespace PasidFramework.Drivers.ArmSmmu.Unit;

// Start and stop: Arm IHI 0070 6.3 (registers), 3.5 (queues), 3.11 (enabling).
internal sealed partial class SmmuUnit : IStreamTableSync
{
    private readonly IPhysicalMemory _memory;
    private readonly IRegisterFile _registers;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly SmmuCapabilities _capabilities;
    private readonly SmmuUnitOptions _options;
    private CommandQueue? _queue;
    private StreamTable? _streams;
    private ulong _eventQueue;
    private int _eventQueueBytes;
    private bool _touched;
    private bool _disposed;

    private SmmuUnit(UnitSetup setup, SmmuCapabilities capabilities, SmmuUnitOptions options)
    {
        Name = setup.Name;
        _memory = setup.Hardware.Memory;
        _registers = setup.Hardware.Registers;
        _logger = setup.Logger;
        _time = setup.Time;
        _capabilities = capabilities;
        _options = options;
        Asids = new AsidAllocator(capabilities.AsidBits);
    }

    /// <summary>Reads the capabilities, builds stream table and queues, and enables the unit.</summary>
    /// <returns>The unit; EINVAL; ENODEV naming the field; ENOMEM; ETIMEDOUT; EIO.</returns>
    public static OpResult<SmmuUnit> Start(UnitSetup setup)
    {
        OpResult<SmmuUnitOptions> options = SmmuUnitOptions.Parse(setup.Options);
        if (!options.IsOk)
        {
            return Refuse(setup, options.Outcome);
        }

        if (setup.PasidBits is < 1 or > Pasid.MaxBits)
        {
            return Refuse(setup, OpResult.Refuse(
                Errno.EINVAL, $"a limit of {setup.PasidBits} PASID bits: 1 to {Pasid.MaxBits} are possible"));
        }

        OpResult<SmmuCapabilities> capabilities = SmmuCapabilities.Read(setup.Hardware.Registers, setup.PasidBits);
        if (!capabilities.IsOk)
        {
            return Refuse(setup, capabilities.Outcome);
        }

        var unit = new SmmuUnit(setup, capabilities.Value, options.Value);
        OpResult result = unit.Build();
        if (result.IsOk)
        {
            result = unit.Enable();
        }

        if (result.IsOk)
        {
            return OpResult<SmmuUnit>.Ok(unit);
        }

        unit.Dispose();
        return Refuse(setup, result);
    }

    /// <inheritdoc/>
    public OpResult StreamChanged(uint sid, bool leafOnly)
    {
        var batch = new CommandBatch(_queue!);
        batch.Add(Commands.CfgiSte(sid, leafOnly));
        return batch.Complete();
    }

    /// <summary>Disables the unit (devices abort from then on) and frees everything, domains that are left
    /// included.</summary>
    public void Dispose()
    {
        lock (_topology)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            if (_touched && WriteCr0(0) is { IsOk: false } refusal)
            {
                // Memory that hardware may still read is not freed.
                _logger.LogError("{Unit}: {Refusal}; its tables and queues stay allocated", Name, refusal);
                return;
            }

            foreach (SmmuDomain domain in _domains)
            {
                domain.Dispose();
            }

            _domains.Clear();
            _streams?.Dispose();
            _queue?.Dispose();
            FreeEvents();
        }
    }

    private static OpResult<SmmuUnit> Refuse(UnitSetup setup, OpResult refusal) =>
        OpResult<SmmuUnit>.Refuse(refusal.Errno, $"{setup.Name}: {refusal.Reason}");

    private OpResult Build()
    {
        OpResult<StreamTable> streams = StreamTable.Create(
            _memory, _capabilities.SidBits, _capabilities.HasTwoLevelStreams, this);
        if (!streams.IsOk)
        {
            return streams.Outcome;
        }

        _streams = streams.Value;
        OpResult<CommandQueue> queue = CommandQueue.Create(
            _memory,
            _registers,
            Math.Min(_options.CommandQueueLog2, _capabilities.CommandQueueLog2),
            _options.PollLimit,
            _time);
        if (!queue.IsOk)
        {
            return queue.Outcome;
        }

        _queue = queue.Value;
        _eventQueueBytes = 1 << (EventQueueLog2 + Events.BytesLog2);
        OpResult<ulong> events = _memory.AllocatePages(_eventQueueBytes, Math.Max(4096, _eventQueueBytes));
        _eventQueue = events.Value;
        if (events.IsOk)
        {
            // Its zeroes must not be written back over what the hardware records.
            _memory.Flush(_eventQueue, _eventQueueBytes);
        }

        return events.Outcome;
    }

    private int EventQueueLog2 => Math.Min(_options.EventQueueLog2, _capabilities.EventQueueLog2);

    private OpResult Enable()
    {
        // From here on the hardware is ours to switch off again.
        _touched = true;
        OpResult result = AbortWhileDisabled();
        if (result.IsOk)
        {
            result = WriteCr0(0);
        }

        if (!result.IsOk)
        {
            return result;
        }

        _registers.Write32(Registers.IRQ_CTRL, 0);
        _registers.Write32(Registers.CR1, Registers.CR1WriteBackShareable);

        // PTM: broadcast TLB maintenance of the CPUs is not for us, every ASID is private. RECINVSID: unknown StreamIDs
        // are recorded.
        _registers.Write32(Registers.CR2, Registers.CR2_PTM | Registers.CR2_RECINVSID);
        _registers.Write64(Registers.STRTAB_BASE, _streams!.Base);
        _registers.Write32(Registers.STRTAB_BASE_CFG, _streams.BaseConfiguration);

        _registers.Write64(Registers.CMDQ_BASE, _queue!.Base);
        _registers.Write32(Registers.CMDQ_PROD, 0);
        _registers.Write32(Registers.CMDQ_CONS, 0);

        // An error that somebody else left behind is not ours to report.
        _registers.Write32(Registers.GERRORN, _registers.Read32(Registers.GERROR));
        uint control = Registers.CR0_CMDQEN;
        result = WriteCr0(control);
        if (result.IsOk)
        {
            result = ForgetEverything();
        }

        if (!result.IsOk)
        {
            return result;
        }

        Span<ulong> eventBase = [0];
        eventBase.SetAddress(Registers.QUEUE_ADDR, _eventQueue);
        eventBase.Set(Registers.QUEUE_LOG2SIZE, (ulong)EventQueueLog2);
        eventBase.Set(Registers.BASE_RA, 1);
        _registers.Write64(Registers.EVENTQ_BASE, eventBase[0]);
        _registers.Write32(Registers.EVENTQ_PROD, 0);
        _registers.Write32(Registers.EVENTQ_CONS, 0);
        control |= Registers.CR0_EVTQEN;
        result = WriteCr0(control);
        if (!result.IsOk)
        {
            return result;
        }

        if (_capabilities.HasAts)
        {
            // Translated requests are checked against the stream table, too.
            control |= Registers.CR0_ATSCHK;
        }

        return WriteCr0(control | Registers.CR0_SMMUEN);
    }

    // Nothing is translated yet, so the order of the two does not matter.
    private OpResult ForgetEverything()
    {
        var batch = new CommandBatch(_queue!);
        batch.Add(Commands.CfgiAll());
        batch.Add(Commands.TlbiNsnhAll());
        return batch.Complete();
    }

    // While SMMUEN is 0 this register decides: nothing passes.
    private OpResult AbortWhileDisabled()
    {
        OpResult result = WaitFor(Registers.GBPA, Registers.GBPA_UPDATE, 0, "GBPA.UPDATE");
        if (result.IsOk)
        {
            _registers.Write32(Registers.GBPA, Registers.GBPA_UPDATE | Registers.GBPA_ABORT);
            result = WaitFor(Registers.GBPA, Registers.GBPA_UPDATE, 0, "GBPA.UPDATE");
        }

        return result;
    }

    private OpResult WriteCr0(uint value)
    {
        _registers.Write32(Registers.CR0, value);
        return WaitFor(Registers.CR0ACK, uint.MaxValue, value, "CR0ACK");
    }

    private OpResult WaitFor(int offset, uint mask, uint value, string name)
    {
        var budget = new PollBudget(_time, CommandQueue.Patience);
        uint seen = 0;
        int polls = 0;
        do
        {
            seen = _registers.Read32(offset);
            if ((seen & mask) == value)
            {
                return OpResult.Ok;
            }
        }
        while (++polls < _options.PollLimit && budget.TrySpend());

        return OpResult.Refuse(Errno.ETIMEDOUT, string.Create(
            CultureInfo.InvariantCulture,
            $"{name} is 0x{seen:x} after {polls} looks, 0x{value:x} (mask 0x{mask:x}) was expected"));
    }
}
