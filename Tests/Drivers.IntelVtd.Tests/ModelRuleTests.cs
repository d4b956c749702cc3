// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Tests;

/// <summary>What the model complains about, and what it keeps behind the backs of several devices.</summary>
public sealed class ModelRuleTests : IDisposable
{
    private const int GCMD = 0x18;
    private const int IQT = 0x88;
    private const int IQA = 0x90;
    private const uint Te = 0x8000_0000;
    private const uint Qie = 0x0400_0000;
    private const ulong Page = 0x5000;
    private const ulong Fence = 0x65;
    private static readonly Pasid s_pasid = new(5);
    private ModelMemory _memory = new();
    private IIommuModel _model = null!;
    private VtdUnit _unit = null!;
    private VtdDomain _domain = null!;
    private VtdDevice _device = null!;
    private IPageTable _table = null!;
    private UnitLink? _link;
    private ulong _frame;
    private ulong _queue;
    public void Dispose() => _model?.Dispose();

    [Theory]
    [InlineData(false), InlineData(true)]
    public void D5_a_device_that_was_removed_keeps_nothing_of_its_neighbours_process(bool exits)
    {
        Start(DeviceFeatures.Ats);
        VtdDevice gpu = Fixture.Ok(_unit.AddDevice(Fixture.Gpu, DeviceFeatures.Ats, _domain));
        Assert.Equal(_frame, Reach(Fixture.Gpu, s_pasid)); // bound to the other one, but the table is the domain's
        Fixture.Ok(_unit.RemoveDevice(gpu, _domain));
        VtdDomain other = Fixture.Ok(_unit.AddDomain(20));
        Fixture.Ok(_unit.AddDevice(Fixture.Gpu, DeviceFeatures.Ats, other));

        if (exits)
        {
            Fixture.Ok(_domain.Exit(s_pasid, _link));
        }

        Fixture.Ok(_domain.Detach(s_pasid, _device, true, ref _link));
        _table.Dispose();
        _memory.FreePages(_frame, 4096);

        Assert.Equal(0UL, Reach(Fixture.Gpu, s_pasid));
        Assert.Empty(_model.Violations);
    }

    [Theory]
    [InlineData(15, false), InlineData(16, false), InlineData(40, false), InlineData(40, true)]
    public void D5_page_requests_of_any_number_of_devices_are_drained(int count, bool exits)
    {
        const DeviceFeatures Pri = DeviceFeatures.Ats | DeviceFeatures.Pri;
        Start(Pri);
        var devices = new List<VtdDevice> { _device };
        for (uint i = 1; i < count; i++)
        {
            devices.Add(Fixture.Ok(_unit.AddDevice(new RequesterId(0x1000 + i), Pri, _domain)));
            Fixture.Ok(_domain.Attach(s_pasid, _table.Root, devices[^1], false, ref _link));
        }

        Probe(_frame);
        if (exits)
        {
            Fixture.Ok(_domain.Exit(s_pasid, _link));
        }

        foreach (VtdDevice device in devices)
        {
            Fixture.Ok(_domain.Detach(s_pasid, device, device == devices[^1], ref _link));
        }

        Probe(0);
        Fixture.Ok(_domain.Attach(s_pasid, _table.Root, _device, true, ref _link));
        Probe(_frame);
        Fixture.Ok(_domain.Detach(s_pasid, _device, true, ref _link));
        _unit.Dispose();
        Assert.Empty(_model.Violations);

        void Probe(ulong reached)
        {
            foreach (VtdDevice device in devices)
            {
                Assert.Equal(reached, Reach(device.Requester, s_pasid));
            }
        }
    }

    [Theory]
    [InlineData("i d,p", true)] // as one group
    [InlineData("i,d,p", true)] // in parts, each completed
    [InlineData("i d,p,p", true)]
    [InlineData("d,i,p", false)] // the device may have been answered from the IOTLB
    [InlineData("i,p,d", false), InlineData("d,p", false), InlineData("i,p", false), InlineData("i d", false)]
    [InlineData("", false)]
    public void A_drain_is_whole_when_its_parts_completed_in_order(string parts, bool drained)
    {
        Start(DeviceFeatures.Ats | DeviceFeatures.Pri);
        Assert.Equal(_frame, Reach(Fixture.Nic, s_pasid));
        _memory.WriteQword(PasidTableTests.EntryAddress(_memory, _domain.Table, s_pasid.Value), 0);
        ulong[] translations = [0x0000_0005_0001_0026, 0, 0, 0];
        ulong[] device = [0x0000_0005_0118_0018, 0x7FFF_FFFF_FFFF_F800, 0, 0];
        Send([0x0000_0005_0001_0017, 0, 0, 0]);
        Send(translations);
        Send(device);

        foreach (string part in parts.Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            if (part == "p")
            {
                Submit([[0xA5, _queue + 0xF00, 0, 0]]);
            }
            else
            {
                Send([.. part.Split(' ').Select(name => name == "i" ? translations : device)]);
            }
        }

        PasidTableTests.StoreUnnoticed(_memory, _domain.Table, s_pasid.Value, _table.Root);
        Assert.Equal(_frame, Reach(Fixture.Nic, s_pasid));
        Assert.Equal(drained ? [] : ["vtd-not-drained"], _model.Violations.Select(c => c.Rule));
    }

    [Theory]
    [InlineData(0x0000_0006_0001_0017UL, true)] // PASID 6 in domain 1
    [InlineData(0x0000_0009_0001_0017UL, true)] // another PASID below the same directory entry
    [InlineData(0x0000_0000_0001_0007UL, true), InlineData(0x0000_0000_0000_0037UL, true)]
    [InlineData(0x0000_0118_0000_0031UL, true)] // its context entry: software may leave out the rest
    [InlineData(0x0000_0046_0001_0017UL, false)] // below the next directory entry
    [InlineData(0x0000_0006_0001_0026UL, false), InlineData(0x0000_0000_0001_00E2UL, false)]
    public void A_directory_entry_is_kept_for_all_its_PASIDs_though_nothing_is_behind_it(ulong low, bool drops)
    {
        Start(DeviceFeatures.None);
        var asked = new Pasid(6);
        var other = new Pasid(7);
        Assert.Equal(0UL, Reach(Fixture.Nic, asked));
        Assert.Contains(_model.Cached, item => item.Key.Contains("directory index 0x0", StringComparison.Ordinal));

        // Another table takes the place of the first.
        ulong leaf = Fixture.Ok(_memory.AllocatePages(4096));
        ulong entry = PasidTableTests.EntryAddress(_memory, _domain.Table, s_pasid.Value);
        for (ulong word = 0; word < 64; word += 8)
        {
            _memory.WriteQword(leaf + (6 * 64) + word, _memory.ReadQword(entry + word));
            _memory.WriteQword(leaf + (7 * 64) + word, _memory.ReadQword(entry + word));
        }

        _memory.WriteQword(_domain.Table.Root, leaf | 1);

        Assert.Equal(0UL, Reach(Fixture.Nic, other));
        Assert.Equal(0UL, Reach(Fixture.Nic, asked));
        Send([low, 0, 0, 0]);
        Assert.Equal(drops ? _frame : 0UL, Reach(Fixture.Nic, asked));
        Assert.Equal(drops ? _frame : 0UL, Reach(Fixture.Nic, other));
    }

    [Fact]
    public void Switching_translation_off_leaves_the_devices_TLBs_alone()
    {
        Start(DeviceFeatures.Ats);
        Assert.Equal(_frame, Reach(Fixture.Nic, s_pasid));

        _model.Registers.Write32(GCMD, Qie);
        Fixture.Ok(_table.Map(Page, 0x2_2000, true));
        Send([0x0000_0000_0000_00D2, 0, 0, 0]);
        _model.Registers.Write32(GCMD, Qie | Te);

        Assert.Equal(_frame, Reach(Fixture.Nic, s_pasid));
        Send([0x0000_0005_0118_0018, 0x7FFF_FFFF_FFFF_F800, 0, 0]);
        Assert.Equal(0x2_2000UL, Reach(Fixture.Nic, s_pasid));
    }

    [Theory]
    [InlineData("root", "root table"), InlineData("contexts", "root entry of bus 01")]
    [InlineData("directory", "context entry of SID 0x0118"), InlineData("leaf", "directory entry 0x0 of SID 0x0118")]
    [InlineData("top", "entry of SID 0x0118 PASID 0x5"), InlineData("table", "upper page table entry")]
    [InlineData("frame", "a translation of DID 1 PASID 0x5")]
    public void What_is_freed_while_a_cache_leads_there_is_complained_about(string what, string named)
    {
        Start(DeviceFeatures.None);
        Assert.Equal(_frame, Reach(Fixture.Nic, s_pasid));
        Assert.Empty(_model.Violations);

        const ulong Address = ~0xFFFUL;
        (ulong at, int bytes) = what switch
        {
            "root" => (_unit.Root, 4096),
            "contexts" => (_memory.ReadQword(_unit.Root + 16) & Address, 4096),
            "directory" => (_domain.Table.Root, 128 << 10),
            "leaf" => (_memory.ReadQword(_domain.Table.Root) & Address, 4096),
            "top" => (_table.Root, 4096),
            "table" => (_memory.ReadQword(_table.Root) & 0x000F_FFFF_FFFF_F000, 4096),
            _ => (_frame, 4096),
        };
        _memory.FreePages(at, bytes);

        ProtocolViolation violation = Assert.Single(_model.Violations);
        Assert.Equal("vtd-freed-while-cached", violation.Rule);
        Assert.Contains(named, violation.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_only_a_device_still_leads_to_must_not_be_freed_either()
    {
        Start(DeviceFeatures.Ats);
        Assert.Equal(_frame, Reach(Fixture.Nic, s_pasid));
        Fixture.Ok(_table.Map(Page, 0x2_2000, true));
        Send([0x0000_0005_0001_0026, 0, 0, 0]);

        _memory.FreePages(_frame, 4096);

        Assert.Contains("TLB of SID 0x0118", Assert.Single(_model.Violations).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_entry_of_requests_without_a_PASID_is_filled_again_from_a_stale_context_entry()
    {
        Start(DeviceFeatures.None);
        Fixture.Ok(_domain.Table.Set(new Pasid(0), new PasidTableEntry(_table.Root, 1)));
        Assert.Equal(_frame, Reach(Fixture.Nic, null));
        _memory.WriteQword((_memory.ReadQword(_unit.Root + 16) & ~0xFFFUL) + (0x18 * 32), 0);

        Send([0x0000_0000_0001_0007, 0, 0, 0]); // PASID-cache before context-cache

        Assert.Contains(_model.Cached, item => item.Key == "SID 0x0118 PASID 0x0");
        Assert.Equal(_frame, Reach(Fixture.Nic, null));
    }

    [Theory]
    [InlineData(1, true), InlineData(2, false)]
    public void In_caching_mode_the_entry_of_requests_without_a_PASID_goes_by_its_domain_id(ulong domain, bool drops)
    {
        Start(DeviceFeatures.None, ("caching-mode", "1"));
        Assert.Equal(0UL, Reach(Fixture.Nic, null));
        PasidTableTests.StoreUnnoticed(_memory, _domain.Table, 0, _table.Root);

        Send([0x17 | (domain << 16), 0, 0, 0], [Fence, _queue + 0xF00, 0, 0], [0x26 | (domain << 16), 0, 0, 0]);

        Assert.Equal(drops ? _frame : 0UL, Reach(Fixture.Nic, null));
    }

    [Theory]
    [InlineData(0x0000_0000_0007_00E2UL, true)] // IOTLB, domain 7
    [InlineData(0x0000_0000_0000_00D2UL, true)]
    [InlineData(0x0000_0006_0007_0026UL, false)] // PASID-IOTLB is for first-stage and pass-through entries
    public void A_second_stage_entry_that_goes_takes_its_domains_translations_with_it(ulong low, bool isEnough)
    {
        Start(DeviceFeatures.None, ("second-stage", "1"));
        ulong tables = Fixture.Ok(_memory.AllocatePages(4 * 4096));
        for (ulong level = 0; level < 3; level++)
        {
            _memory.WriteQword(tables + (level << 12), (tables + ((level + 1) << 12)) | 3);
        }

        _memory.WriteQword(tables + 0x3028, 0x4_4003);
        ulong entry = PasidTableTests.EntryAddress(_memory, _domain.Table, 6);
        _memory.WriteQword(entry + 8, 7);
        _memory.WriteQword(entry, tables | 0x89);
        Assert.Equal(0x4_4000UL, Reach(Fixture.Nic, new Pasid(6)));
        _memory.WriteQword(entry, 0);

        Send([0x0000_0006_0007_0017, 0, 0, 0], [Fence, _queue + 0xF00, 0, 0], [low, 0, 0, 0]);

        _memory.WriteQword(entry, tables | 0x89);
        Assert.Equal(0x4_4000UL, Reach(Fixture.Nic, new Pasid(6)));
        Assert.Equal(isEnough ? [] : ["vtd-kept"], _model.Violations.Select(c => c.Rule));
    }

    [Fact]
    public void The_queue_may_not_move_while_it_is_enabled()
    {
        Start(DeviceFeatures.None);

        _model.Registers.Write64(IQA, _model.Registers.Read64(IQA));

        Assert.Equal("vtd-iqa", Assert.Single(_model.Violations).Rule);
    }

    [Fact]
    public void The_queue_may_not_be_switched_off_before_its_invalidations_completed()
    {
        Start(DeviceFeatures.None);
        Submit([[0x0000_0005_0001_0026, 0, 0, 0]]); // nothing waits for it

        _model.Registers.Write32(GCMD, Te);

        Assert.Equal("vtd-queue-off", Assert.Single(_model.Violations).Rule);
    }

    [Fact]
    public void A_flag_that_the_walker_sets_does_not_bring_back_an_entry_that_the_CPU_cleared()
    {
        _memory = new ModelMemory(isCoherent: true, StoreOrder.Weak);
        Start(DeviceFeatures.None);
        ulong table = _table.Root;
        for (int level = 3; level > 0; level--)
        {
            table = _memory.ReadQword(table) & 0x000F_FFFF_FFFF_F000;
        }

        ulong leaf = table + (Page >> 9);
        _memory.WriteQword(leaf, _frame | 7); // neither accessed nor dirty
        _memory.StoreBarrier();
        _memory.WriteQword(leaf, 0);

        Assert.Equal(_frame, Reach(Fixture.Nic, s_pasid));

        Assert.Equal(0UL, _memory.ReadQword(leaf));
        Assert.Equal(_frame | 0x27, _memory.Device.ReadQword(leaf));
        _memory.StoreBarrier();
        Assert.Equal(0UL, _memory.Device.ReadQword(leaf));
    }

    [Theory]
    [InlineData(1), InlineData(3)]
    [InlineData(int.MaxValue)] // it gives up in the end
    public void An_entry_that_changed_before_its_flag_was_set_is_read_again(int changes)
    {
        var source = new ChangingSource(changes);
        var found = new WalkResult(0, false, PasidEntry.FirstStage, 0x1000, 0, 4, 0, false, 1, 5, false);

        PageResult page = TableWalker.Translate(
            new WalkRules(0, 0, 52), found, new DmaAccess(Fixture.Nic, s_pasid, Page, false), source);

        Assert.Equal(0, page.Fault);
        Assert.Equal(0x10_0000UL + ((ulong)Math.Min(changes, 15) << 12), page.Address);
        Assert.True(page.Writable);
    }

    private void Start(DeviceFeatures features, params (string Name, string Value)[] options)
    {
        _model = new VtdModel(_memory, Fixture.With(options));
        _unit = Fixture.Ok(VtdUnit.Start(new UnitSetup { Name = "dmar0", Hardware = _model }));
        _domain = Fixture.Ok(_unit.AddDomain(20));
        _device = Fixture.Ok(_unit.AddDevice(Fixture.Nic, features, _domain));
        _table = Fixture.Ok(X86PageTables.FourLevel.Create(_memory));
        _frame = Fixture.Ok(_memory.AllocatePages(4096));
        Fixture.Ok(_table.Map(Page, _frame, true));
        Fixture.Ok(_domain.Attach(s_pasid, _table.Root, _device, true, ref _link));
        _memory.StoreBarrier();
        _queue = _model.Registers.Read64(IQA) & ~0xFFFUL;
    }

    private ulong Reach(RequesterId requester, Pasid? pasid) =>
        _model.Translate(new DmaAccess(requester, pasid, Page, false)).Address;

    private void Send(params ulong[][] descriptors) => Submit([.. descriptors, [0x25, _queue + 0xF00, 0, 0]]);

    private void Submit(ulong[][] descriptors)
    {
        ulong tail = _model.Registers.Read64(IQT);
        foreach (ulong[] words in descriptors)
        {
            for (int i = 0; i < 4; i++)
            {
                _memory.WriteQword(_queue + tail + ((ulong)i * 8), words[i]);
            }

            tail += 32;
        }

        _model.Registers.Write64(IQT, tail);
        Assert.Equal(tail, _model.Registers.Read64(0x80));
    }

    /// <summary>Four levels of tables; the leaf becomes the next page, writable, before its flag is set.</summary>
    private sealed class ChangingSource(int changes) : IWalkSource
    {
        private int _left = changes;
        private ulong _leaf = 0x10_0005;

        public bool Read(in WalkPoint point, Span<ulong> words)
        {
            words[0] = point.Level == 1 ? _leaf : 0x2027;
            return true;
        }

        public void Checked(in WalkPoint point, ReadOnlySpan<ulong> words, int fault)
        {
            // Nothing is kept.
        }

        public bool Update(in WalkPoint point, ulong expected, ulong entry)
        {
            if (_left == 0)
            {
                return true;
            }

            _left--;
            _leaf = (_leaf + 0x1000) | 2;
            return false;
        }
    }
}
