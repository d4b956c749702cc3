// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Emulation.Caching;

/// <summary>
/// A software SMMUv3 as strict as hardware may be (Arm IHI 0070, issue H.a era): caches that only matching commands
/// clear, commands that are certain only at the next SYNC and not in their order, device TLBs, page table walks.
/// </summary>
/// <remarks>
/// <para><b>Commands between two SYNCs</b> take effect at the second one, in the order that is worst for the driver:
/// device TLBs first, and what they forget they fetch again from the main TLB; then the main TLB, and what it forgets
/// is walked again with the configuration that is still cached; then the configuration, descriptors first, and what is
/// forgotten of them is read again through stream table entries that are still cached.</para>
/// <para><b>Locks</b>: the register file's gate is outside of the model's; events are recorded outside of both.</para>
/// </remarks>
internal sealed class SmmuModel : IIommuModel, ISmmuCommandExecutor
{
    private readonly Lock _gate = new();
    private readonly SmmuHardwareOptions _options;
    private readonly SmmuRegisterFile _registers;
    private readonly CachingWalker _walker;
    private readonly SmmuCaches _caches = new();
    private readonly ViolationLog _log;
    private readonly PendingInvalidations<SmmuCommand> _pending = new();
    private readonly HashSet<(uint Sid, uint? Ssid)> _seen = [];

    // What a reset leaves in the caches is unknown until it has been invalidated.
    private bool _configurationKnown;
    private bool _translationsKnown;
    private bool _enabled;

    /// <summary>Makes a model after its reset.</summary>
    /// <param name="memory">Memory; only the walker's view of it is used.</param>
    /// <exception cref="ArgumentException">An option is unknown or out of range.</exception>
    public SmmuModel(ModelMemory memory, HardwareSetup setup)
    {
        ModelMemory = memory;
        _options = SmmuHardwareOptions.Parse(setup, isModel: true);
        _log = new ViolationLog(memory, "smmu-stray-read", " (3.21)");
        _registers = new SmmuRegisterFile(memory.Device, _options, this);
        _walker = new CachingWalker(memory.Device, _options, _caches, _log.Report);
        memory.Changed += OnChange;
    }

    public ModelMemory ModelMemory { get; }

    IModelMemory IIommuModel.ModelMemory => ModelMemory;

    public IPhysicalMemory Memory => ModelMemory;
    public IRegisterFile Registers => _registers;
    public bool IsCoherent => _options.Coherent;
    public IReadOnlyList<ProtocolViolation> Violations => _log.All();

    public IReadOnlyList<CachedItem> Cached
    {
        get
        {
            lock (_gate)
            {
                return _caches.All.Items();
            }
        }
    }

    public void DropCaches()
    {
        lock (_gate)
        {
            _caches.All.Clear();
        }
    }

    public TranslationResult Translate(in DmaAccess access)
    {
        if (_registers.WhileDisabled(access) is { } answer)
        {
            return answer;
        }

        WalkOutcome outcome;
        lock (_gate)
        {
            outcome = Follow(access);
        }

        _registers.Record(access, outcome.Fault);
        return outcome.Result;
    }

    /// <summary>
    /// Compares the caches with what is in memory, when the driver has nothing under way: what they hold must be what a
    /// walk without them finds.
    /// </summary>
    /// <returns>The first thing that is stale; null for none.</returns>
    public string? FindStale()
    {
        lock (_gate)
        {
            if (!_enabled)
            {
                return null;
            }

            // It remembers within this check only.
            var fresh = new CachingWalker(ModelMemory.Device, _options, new SmmuCaches(), static (_, _) => { });
            StreamRoot root = _registers.StreamRoot;
            return _walker.FindStaleEntry(root) ?? _caches.Translations().Select(held =>
            {
                Pasid? pasid = held.Ssid is { } ssid ? new Pasid(ssid) : null;
                TranslationResult now = fresh.Follow(
                    new DmaAccess(new RequesterId(held.Sid), pasid, held.First, IsWrite: false), root).Result;
                return now.Status == TranslationStatus.Translated && now.Address == held.Target
                    ? null
                    : $"StreamID 0x{held.Sid:x} PASID 0x{held.Ssid:x}: 0x{held.First:x} is cached as "
                        + $"0x{held.Target:x}, now it is {now.Status} 0x{now.Address:x}";
            }).FirstOrDefault(text => text is not null);
        }
    }

    public void Dispose() => ModelMemory.Changed -= OnChange;

    void ISmmuCommandExecutor.Execute(SmmuCommand command)
    {
        lock (_gate)
        {
            if (command.Opcode != SmmuOpcode.SYNC)
            {
                _pending.Add(command);
                return;
            }

            _pending.Fence();
            _pending.Complete((group, _) => Complete(group));
        }

        Signal(command);
    }

    void ISmmuCommandExecutor.ControlChanged(uint before, uint after)
    {
        lock (_gate)
        {
            bool isOn = (after & Formats.Registers.CR0_SMMUEN) != 0;
            if (isOn && (before & Formats.Registers.CR0_SMMUEN) == 0 && !(_configurationKnown && _translationsKnown))
            {
                _log.Report(
                    "smmu-unknown-caches",
                    "SMMUEN was set although CFGI_ALL and TLBI_NSNH_ALL had not completed since reset (6.3.9, 3.11)");
            }

            _enabled = isOn;
            if ((after & ~before & Formats.Registers.CR0_EVTQEN) != 0 && FindUnsettledEvent() is { } address)
            {
                _log.Report("smmu-event-queue-unsettled",
                    $"EVTQEN was set before a store at 0x{address:x} arrived: it would overwrite a record (7.2)");
            }
        }
    }

    void ISmmuCommandExecutor.Refused(int offset, uint value)
    {
        lock (_gate)
        {
            _log.Report("smmu-register-in-use",
                $"0x{value:x} was written to register 0x{offset:x}, which may not change while its function is enabled "
                    + $"(6.3)");
        }
    }

    // A place of the event queue that holds something else for the hardware than for the CPU.
    private ulong? FindUnsettledEvent()
    {
        ulong start = _registers.Read64(Formats.Registers.EVENTQ_BASE);
        ulong queue = start.GetAddress(Formats.Registers.QUEUE_ADDR);
        int log2 = Math.Min(_options.EventQueueLog2, (int)start.Get(Formats.Registers.QUEUE_LOG2SIZE));
        ulong end = queue + (1UL << (log2 + Events.BytesLog2));
        return ModelMemory.IsBacked(queue, (long)(end - queue))
            ? ModelMemory.FindUnsettled(queue, (long)(end - queue))
            : null;
    }

    private void OnChange(MemoryEvent change)
    {
        if (change.Kind != MemoryEventKind.Free)
        {
            return;
        }

        lock (_gate)
        {
            // Hardware may fetch configuration ahead of any access: what has been asked for once may be asked for
            // again.
            FetchAhead();
            if (_enabled && _caches.All.FindReferenceInto(AddressRange.OfFreed(change)) is { } entry)
            {
                _log.Report("smmu-freed-while-cached",
                    $"memory at 0x{change.Address:x} was freed while {entry} is cached and leads there (3.21)");
            }
        }
    }

    // Inside the gate.
    private WalkOutcome Follow(in DmaAccess access)
    {
        StreamRoot root = _registers.StreamRoot;
        uint? ssid = access.Pasid?.Value;
        _seen.Add((access.Requester.Value, ssid));
        if (_caches.Devices.TryFind(
            (access.Requester.Value, ssid), access.Address, out TranslationKey<(uint, uint?)> key, out DeviceItem held)
            && (held.Writable || !access.IsWrite))
        {
            return Translated(access, root, held.Target | (access.Address - key.First));
        }

        // A request that may be answered by ATS: what succeeds is kept by the device; what fails comes again as an
        // ordinary request, which records the fault.
        WalkOutcome outcome = _walker.Follow(access, root);
        if (outcome.Result.Status == TranslationStatus.Translated && outcome.Ats == StreamTableEntry.EatsFull)
        {
            _caches.KeepInDevice(access.Requester.Value, ssid, access.Address, outcome.Translation);
        }

        return outcome;
    }

    // A request that says it is translated: with ATSCHK the stream table entry has the last word (3.9.1).
    private WalkOutcome Translated(in DmaAccess access, in StreamRoot root, ulong address)
    {
        var passed = new WalkOutcome(new TranslationResult(TranslationStatus.Translated, address, 0, 0, null), default);
        if ((_registers.Read32(Formats.Registers.CR0) & Formats.Registers.CR0_ATSCHK) == 0)
        {
            return passed;
        }

        Span<ulong> ste = stackalloc ulong[StreamTableEntry.Words];
        SmmuFault fault = _walker.ReadStream(access.Requester.Value, root, ste);
        if (!fault.IsFault && ste.Get(StreamTableEntry.EATS) != StreamTableEntry.EatsFull)
        {
            fault = new SmmuFault(
                SmmuEvent.F_TRANSL_FORBIDDEN, $"a translated request with EATS {ste.Get(StreamTableEntry.EATS)}");
        }

        return fault.IsFault
            ? new WalkOutcome(
                new TranslationResult(
                    TranslationStatus.Faulted, 0, 0, (int)fault.Event, $"{fault.Event}: {fault.Reason}"),
                fault)
            : passed;
    }

    // Inside the gate: everything since the last SYNC takes effect, in the worst order.
    private void Complete(IReadOnlyList<SmmuCommand> group)
    {
        SmmuCommand[] devices = [.. group.Where(c => c.Opcode == SmmuOpcode.ATC_INV)];
        SmmuCommand[] translations = [.. group.Where(c => IsTlbi(c.Opcode))];
        SmmuCommand[] configuration = [.. group.Where(c => IsCfgi(c.Opcode))];
        if (configuration.Length > 0)
        {
            _walker.CheckTornReads(ModelMemory);
        }

        foreach (SmmuCommand command in devices)
        {
            List<(uint Sid, uint? Ssid, ulong Address)> forgotten = _walker.InvalidateDevices(command);
            if (_enabled)
            {
                forgotten.ForEach(FetchAgain);
            }
        }

        foreach (SmmuCommand command in translations)
        {
            List<(Tag Tag, ulong Address)> forgotten = _walker.InvalidateTranslations(command);
            if (configuration.Length > 0 && _enabled)
            {
                forgotten.ForEach(f => _walker.WalkAgain(f.Tag, f.Address));
            }

            _translationsKnown |= command.Opcode == SmmuOpcode.TLBI_NSNH_ALL;
        }

        ForgetConfiguration(configuration);
        if (configuration.Length > 0)
        {
            ModelMemory.Settle();
            FetchAhead();
        }
    }

    private void FetchAhead()
    {
        if (_enabled)
        {
            foreach ((uint sid, uint? ssid) in _seen)
            {
                _walker.FetchAhead(sid, ssid, _registers.StreamRoot);
            }
        }
    }

    private void ForgetConfiguration(SmmuCommand[] commands)
    {
        bool hasStreams = commands.Any(c => c.Opcode is SmmuOpcode.CFGI_STE or SmmuOpcode.CFGI_STE_RANGE);
        foreach (SmmuCommand command in commands.Where(c => c.Opcode is SmmuOpcode.CFGI_CD or SmmuOpcode.CFGI_CD_ALL))
        {
            ReadOnlySpan<ulong> words = [command.Word0, command.Word1];
            uint sid = (uint)words.Get(Commands.SID);
            uint[] before = _walker.CachedSubstreams(sid);
            _walker.InvalidateConfiguration(command);
            if (hasStreams && _enabled)
            {
                _walker.ReadContextsAgain(sid, before.Except(_walker.CachedSubstreams(sid)));
            }
        }

        foreach (SmmuCommand command in commands.Where(
            c => c.Opcode is SmmuOpcode.CFGI_STE or SmmuOpcode.CFGI_STE_RANGE))
        {
            _walker.InvalidateConfiguration(command);
            ReadOnlySpan<ulong> words = [command.Word0, command.Word1];
            _configurationKnown |= command.Opcode == SmmuOpcode.CFGI_STE_RANGE
                && words.Get(Commands.Range) == Commands.RangeAll;
        }
    }

    // A device that has lost a translation asks for it at once, and gets it where the main TLB still has it.
    private void FetchAgain((uint Sid, uint? Ssid, ulong Address) held)
    {
        if (held.Ssid is { } ssid
            && _walker.CachedRegime(new Tag(held.Sid, ssid, false, 0, null), held.Address) is { } regime
            && _walker.Peek(regime, held.Address) is { } translation)
        {
            _caches.KeepInDevice(held.Sid, ssid, held.Address, translation);
        }
    }

    private void Signal(SmmuCommand sync)
    {
        ReadOnlySpan<ulong> words = [sync.Word0, sync.Word1];
        ulong address = words.GetAddress(Commands.MSIADDR);
        if (words.Get(Commands.CS) == 1 && address != 0 && ModelMemory.Device.IsBacked(address, 4))
        {
            ModelMemory.Device.WriteDword(address, (uint)words.Get(Commands.MSIDATA));
        }
    }

    private static bool IsTlbi(SmmuOpcode opcode) =>
        opcode is >= SmmuOpcode.TLBI_NH_ALL and <= SmmuOpcode.TLBI_NSNH_ALL;

    private static bool IsCfgi(SmmuOpcode opcode) => opcode is >= SmmuOpcode.CFGI_STE and <= SmmuOpcode.CFGI_CD_ALL;
}
