using Microsoft.Extensions.Logging;
using PasidFramework.DriverKit.Units;
using PasidFramework.Contracts;
using PasidFramework.DriverKit.Queues;
using PasidFramework.Drivers.ArmSmmu.Formats;
using PasidFramework.Drivers.ArmSmmu.Queues;
using PasidFramework.Drivers.ArmSmmu.Tables;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Drivers.ArmSmmu.Unit;

// Start and stop: Arm IHI 0070 6.3 (registers), 3.5 (queues), 3.11 (enabling).
internal sealed partial class SmmuUnit : IStreamTableSync
{
    // How long hardware may make no progress, however slow a read of a register is.
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(1);

    private readonly IPhysicalMemory _memory;
    private readonly IRegisterFile _registers;
    private readonly ILogger _logger;
    private readonly PollTimeout _timeout;
    private readonly SmmuCapabilities _capabilities;
    private readonly SmmuUnitOptions _options;
    private CommandQueue? _queue;
    private StreamTable? _streams;
    private EventQueue? _events;
    private bool _touched;
    private bool _disposed;

    private SmmuUnit(UnitSetup setup, SmmuCapabilities capabilities, SmmuUnitOptions options)
    {
        Name = setup.Name;
        _memory = setup.Hardware.Memory;
        _registers = setup.Hardware.Registers;
        _logger = setup.Logger;
        _timeout = new PollTimeout(setup.Time, s_timeout, options.PollLimit);
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
            _events?.Dispose();
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
            _timeout);
        if (!queue.IsOk)
        {
            return queue.Outcome;
        }

        _queue = queue.Value;
        OpResult<EventQueue> events = EventQueue.Create(
            Name, _memory, _registers, Math.Min(_options.EventQueueLog2, _capabilities.EventQueueLog2));
        _events = events.Value;
        return events.Outcome;
    }

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

        _registers.Write64(Registers.EVENTQ_BASE, _events!.Base);
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
        PollBudget budget = _timeout.Start();
        uint seen;
        do
        {
            seen = _registers.Read32(offset);
            if ((seen & mask) == value)
            {
                return OpResult.Ok;
            }
        }
        while (budget.TrySpend());

        return OpResult.Refuse(Errno.ETIMEDOUT,
            $"{name} is 0x{seen:x} after {budget.Polls} looks, 0x{value:x} (mask 0x{mask:x}) was expected");
    }
}
