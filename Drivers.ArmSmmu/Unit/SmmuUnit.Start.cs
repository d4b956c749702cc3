// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Allocation;
using PasidFramework.Drivers.ArmSmmu.Queues;

namespace PasidFramework.Drivers.ArmSmmu.Unit;

// Start and stop: Arm IHI 0070 6.3 (registers), 3.5 (queues), 3.11 (enabling).
internal sealed partial class SmmuUnit : IStreamTableSync
{
    // How long hardware may make no progress, however slow a read of a register is.
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(1);
    private static readonly Option<int> s_commandQueue = Option.Number("command-queue-log2", 1, 19, 8);
    private static readonly Option<int> s_eventQueue = Option.Number("event-queue-log2", 1, 19, 7);
    private static readonly Option<int> s_pollLimit = Option.Number("poll-limit", 1, 1_000_000_000, 1_000_000);
    private static readonly OptionSet s_options = new("arm-smmu", s_commandQueue, s_eventQueue, s_pollLimit);
    private readonly PollTimeout _timeout;
    private readonly SmmuCapabilities _capabilities;
    private readonly OptionValues _options;
    private CommandQueue? _queue;
    private StreamTable? _streams;
    private EventQueue? _events;
    private bool _touched;

    private SmmuUnit(UnitSetup setup, SmmuCapabilities capabilities, OptionValues options)
        : base(setup, capabilities.PasidBits)
    {
        _timeout = new PollTimeout(setup.Time, s_timeout, options.Get(s_pollLimit));
        _capabilities = capabilities;
        _options = options;
        Asids = new LowestPasidAllocator(new PasidRange(1, (1u << capabilities.AsidBits) - 1));
    }

    protected override IReadOnlyList<Func<OpResult>> StartSteps =>
    [
        BuildStreams,
        BuildCommandQueue,
        BuildEventQueue,
        AbortWhileDisabled,
        () => WriteCr0(0),
        EnableCommandQueue,
        InvalidateAll,
        EnableEventQueue,
        EnableTranslation,
    ];

    /// <summary>Reads the capabilities, builds stream table and queues, and enables the unit.</summary>
    /// <returns>The unit; EINVAL; ENODEV naming the field; ENOMEM; ETIMEDOUT; EIO.</returns>
    public static OpResult<SmmuUnit> Start(UnitSetup setup)
    {
        OpResult<OptionValues> options = s_options.Read(setup);
        if (!options.IsOk)
        {
            return OpResult<SmmuUnit>.Refuse(options.Outcome);
        }

        OpResult<SmmuCapabilities> capabilities = SmmuCapabilities.Read(setup.Hardware.Registers, setup.PasidBits);
        if (!capabilities.IsOk)
        {
            return Refuse(setup, capabilities.Outcome);
        }

        var unit = new SmmuUnit(setup, capabilities.Value, options.Value);
        OpResult result = unit.Start();
        return result.IsOk ? OpResult<SmmuUnit>.Ok(unit) : Refuse(setup, result);
    }

    public OpResult StreamChanged(uint sid, bool leafOnly)
    {
        var batch = new CommandBatch(_queue!);
        batch.Add(Formats.Commands.CfgiSte(sid, leafOnly));
        return batch.Complete();
    }

    /// <summary>Disables the unit: devices abort from then on.</summary>
    protected override OpResult Stop() => _touched ? WriteCr0(0) : OpResult.Ok;

    protected override void Free()
    {
        _streams?.Dispose();
        _queue?.Dispose();
        _events?.Dispose();
    }

    private static OpResult<SmmuUnit> Refuse(UnitSetup setup, OpResult refusal) =>
        OpResult<SmmuUnit>.Refuse(refusal.Errno, $"{setup.Name}: {refusal.Reason}");

    private OpResult BuildStreams()
    {
        OpResult<StreamTable> streams = StreamTable.Create(
            Memory, _capabilities.SidBits, _capabilities.HasTwoLevelStreams, this);
        _streams = streams.Value;
        return streams.Outcome;
    }

    private OpResult BuildCommandQueue()
    {
        OpResult<CommandQueue> queue = CommandQueue.Create(
            Memory, Registers, Math.Min(_options.Get(s_commandQueue), _capabilities.CommandQueueLog2), _timeout);
        _queue = queue.Value;
        return queue.Outcome;
    }

    private OpResult BuildEventQueue()
    {
        OpResult<EventQueue> events = EventQueue.Create(
            Name, Memory, Registers, Math.Min(_options.Get(s_eventQueue), _capabilities.EventQueueLog2));
        _events = events.Value;
        return events.Outcome;
    }

    private OpResult EnableCommandQueue()
    {
        Registers.Write32(Formats.Registers.IRQ_CTRL, 0);
        Registers.Write32(Formats.Registers.CR1, Formats.Registers.CR1WriteBackShareable);

        // PTM: broadcast TLB maintenance of the CPUs is not for us, every ASID is private. RECINVSID: unknown StreamIDs
        // are recorded.
        Registers.Write32(Formats.Registers.CR2, Formats.Registers.CR2_PTM | Formats.Registers.CR2_RECINVSID);
        Registers.Write64(Formats.Registers.STRTAB_BASE, _streams!.Base);
        Registers.Write32(Formats.Registers.STRTAB_BASE_CFG, _streams.BaseConfiguration);

        Registers.Write64(Formats.Registers.CMDQ_BASE, _queue!.Base);
        Registers.Write32(Formats.Registers.CMDQ_PROD, 0);
        Registers.Write32(Formats.Registers.CMDQ_CONS, 0);

        // An error that was left behind before is not ours to report.
        Registers.Write32(Formats.Registers.GERRORN, Registers.Read32(Formats.Registers.GERROR));
        return WriteCr0(Formats.Registers.CR0_CMDQEN);
    }

    private OpResult EnableEventQueue()
    {
        Registers.Write64(Formats.Registers.EVENTQ_BASE, _events!.Base);
        Registers.Write32(Formats.Registers.EVENTQ_PROD, 0);
        Registers.Write32(Formats.Registers.EVENTQ_CONS, 0);
        return WriteCr0(Formats.Registers.CR0_CMDQEN | Formats.Registers.CR0_EVTQEN);
    }

    // Translated requests are checked against the stream table, too.
    private OpResult EnableTranslation() => WriteCr0(
        Formats.Registers.CR0_CMDQEN | Formats.Registers.CR0_EVTQEN | Formats.Registers.CR0_SMMUEN
        | (_capabilities.HasAts ? Formats.Registers.CR0_ATSCHK : 0));

    // Nothing is translated yet, so the order of the two does not matter.
    private OpResult InvalidateAll()
    {
        var batch = new CommandBatch(_queue!);
        batch.Add(Formats.Commands.CfgiAll());
        batch.Add(Formats.Commands.TlbiNsnhAll());
        return batch.Complete();
    }

    // While SMMUEN is 0 this register decides: nothing passes.
    private OpResult AbortWhileDisabled()
    {
        // From here on the hardware is ours to switch off again.
        _touched = true;
        OpResult result = WaitFor(Formats.Registers.GBPA, Formats.Registers.GBPA_UPDATE, 0, "GBPA.UPDATE");
        if (result.IsOk)
        {
            Registers.Write32(Formats.Registers.GBPA, Formats.Registers.GBPA_UPDATE | Formats.Registers.GBPA_ABORT);
            result = WaitFor(Formats.Registers.GBPA, Formats.Registers.GBPA_UPDATE, 0, "GBPA.UPDATE");
        }

        return result;
    }

    private OpResult WriteCr0(uint value)
    {
        Registers.Write32(Formats.Registers.CR0, value);
        return WaitFor(Formats.Registers.CR0ACK, uint.MaxValue, value, "CR0ACK");
    }

    private OpResult WaitFor(int offset, uint mask, uint value, string name)
    {
        PollBudget budget = _timeout.Start();
        uint seen;
        do
        {
            seen = Registers.Read32(offset);
            if ((seen & mask) == value)
            {
                return OpResult.Ok;
            }
        }
        while (budget.TrySpend());

        return OpResult.Refuse(Errno.ETIMEDOUT,
            $"{name} is 0x{seen:x} after {budget.Polls} polls, 0x{value:x} (mask 0x{mask:x}) was expected");
    }
}
