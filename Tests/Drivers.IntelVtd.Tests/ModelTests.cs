// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Tests;

/// <summary>What the model keeps, and what drops it; the driver stores, the test sends the descriptors.</summary>
public sealed class ModelTests : IDisposable
{
    private const int GCMD = 0x18;
    private const int IQT = 0x88;
    private const int IQA = 0x90;
    private const ulong Nothing = 0;
    private const ulong Page = 0x5000;
    private static readonly Pasid s_pasid = new(5);
    private readonly ModelMemory _memory = new();
    private IIommuModel _model = null!;
    private VtdUnit _unit = null!;
    private VtdDomain _domain = null!;
    private IPageTable _table = null!;
    private ulong _queue;
    public void Dispose() => _model?.Dispose();

    [Theory]
    [InlineData(0x0000_0000_0001_00E2UL, 0UL, true)] // IOTLB, domain 1
    [InlineData(0x0000_0000_0000_00D2UL, 0UL, true)] // IOTLB, global
    [InlineData(0x0000_0005_0001_0026UL, 0UL, true)] // PASID 5 in domain 1
    [InlineData(0x0000_0005_0001_0036UL, 0x5000UL, true)] // its page
    [InlineData(0x0000_0005_0001_0036UL, 0x4001UL, true)] // two pages
    [InlineData(0x0000_0005_0001_0036UL, 0x5040UL, true)] // IH = 1: only leaves
    [InlineData(0x0000_0000_0002_00E2UL, 0UL, false)] // another domain
    [InlineData(0x0000_0000_0001_00F2UL, 0x5000UL, false)] // page in domain: second stage only
    [InlineData(0x0000_0006_0001_0026UL, 0UL, false)] // another PASID
    [InlineData(0x0000_0005_0002_0026UL, 0UL, false)]
    [InlineData(0x0000_0005_0001_0036UL, 0x6000UL, false)] // another page
    [InlineData(0x0000_0005_0001_0036UL, 0x6001UL, false)]
    [InlineData(0x0000_0005_0001_0017UL, 0UL, false)] // PASID-cache does not drop translations
    [InlineData(0x0000_0000_0000_0011UL, 0UL, false)] // nor does the context-cache
    public void A_translation_goes_with_a_matching_invalidation_only(ulong low, ulong high, bool drops)
    {
        Start(DeviceFeatures.None);
        Assert.Equal(0x1_1000UL, Reach());
        Fixture.Ok(_table.Map(Page, 0x2_2000, true));

        Assert.Equal(0x1_1000UL, Reach());
        Send([low, high, 0, 0]);

        Assert.Equal(drops ? 0x2_2000UL : 0x1_1000UL, Reach());
    }

    [Theory]
    [InlineData(0x0000_0005_0118_0018UL, 0x7FFF_FFFF_FFFF_F800UL, true)] // everything
    [InlineData(0x0000_0005_0118_0018UL, 0x5000UL, true)]
    [InlineData(0x0000_0005_0118_0018UL, 0x4800UL, true)] // S = 1, lowest 0 in bit 12: two pages
    [InlineData(0x0000_0006_0118_0018UL, 0x7FFF_FFFF_FFFF_F801UL, true)] // GI: any PASID
    [InlineData(0x0000_0006_0118_0018UL, 0x7FFF_FFFF_FFFF_F800UL, false)]
    [InlineData(0x0000_0005_0119_0018UL, 0x7FFF_FFFF_FFFF_F800UL, false)]
    [InlineData(0x0000_0005_0118_0018UL, 0x6000UL, false), InlineData(0x0000_0005_0118_0018UL, 0x6800UL, false)]
    [InlineData(0x0000_0118_0001_0003UL, 0x7FFF_FFFF_FFFF_F001UL, false)] // without PASID
    public void A_devices_TLB_goes_with_its_own_invalidation_only(ulong low, ulong high, bool drops)
    {
        Start(DeviceFeatures.Ats);
        Assert.Equal(0x1_1000UL, Reach());
        Fixture.Ok(_table.Map(Page, 0x2_2000, true));
        Send([0x0000_0005_0001_0026, 0, 0, 0]);

        Assert.Equal(0x1_1000UL, Reach());
        Send([low, high, 0, 0]);

        Assert.Equal(drops ? 0x2_2000UL : 0x1_1000UL, Reach());
    }

    [Theory]
    [InlineData(0x0000_0005_0001_0017UL, true)]
    [InlineData(0x0000_0000_0001_0007UL, true)] // domain
    [InlineData(0x0000_0000_0000_0037UL, true)] // global
    [InlineData(0x0000_0006_0001_0017UL, false), InlineData(0x0000_0005_0002_0017UL, false)]
    [InlineData(0x0000_0000_0002_0007UL, false)]
    [InlineData(0x0000_0005_0001_0026UL, false)] // P_IOTLB does not drop entries
    [InlineData(0x0000_0000_0000_00D2UL, false), InlineData(0x0000_0000_0000_0011UL, false)]
    public void A_PASID_entry_goes_with_a_matching_PASID_cache_invalidation_only(ulong low, bool drops)
    {
        Start(DeviceFeatures.None);
        Assert.Equal(0x1_1000UL, Reach());
        _memory.WriteQword(PasidTableTests.EntryAddress(_memory, _domain.Table, s_pasid.Value), 0);

        Assert.Equal(0x1_1000UL, Reach());
        Send([low, 0, 0, 0]);

        Assert.Equal(drops ? Nothing : 0x1_1000UL, Reach());
    }

    [Theory]
    [InlineData(0x0000_0118_0000_0031UL, true), InlineData(0x0000_0000_0000_0011UL, true)]
    [InlineData(0x0000_0000_0000_0021UL, true)] // domain acts as global
    [InlineData(0x0003_011F_0000_0031UL, true)] // FM 3: all functions of the device
    [InlineData(0x0001_011A_0000_0031UL, false)] // FM 1 leaves out bit 2 only
    [InlineData(0x0000_0119_0000_0031UL, false), InlineData(0x0000_0000_0000_0037UL, false)]
    public void A_context_entry_goes_with_a_matching_context_cache_invalidation_only(ulong low, bool drops)
    {
        Start(DeviceFeatures.None);
        Assert.Equal(0x1_1000UL, Reach());
        ulong entry = (_memory.ReadQword(_unit.Root + 16) & ~0xFFFUL) + (0x18 * 32);
        _memory.WriteQword(entry, 0);

        Send([low, 0, 0, 0]);

        Assert.Equal(drops ? Nothing : 0x1_1000UL, Reach());
    }

    [Theory]
    [InlineData(0x65UL, true)] // fence between the stages
    [InlineData(0x25UL, false)] // a wait without fence holds nothing back
    [InlineData(0x05UL, false)]
    public void D5_a_device_asks_again_before_the_IOTLB_was_invalidated_unless_a_fence_is_between(
        ulong wait, bool fresh)
    {
        Start(DeviceFeatures.Ats);
        Assert.Equal(0x1_1000UL, Reach());
        Fixture.Ok(_table.Map(Page, 0x2_2000, true));

        Send(
            [0x0000_0005_0001_0026, 0, 0, 0],
            [wait, _queue + 0xF00, 0, 0],
            [0x0000_0005_0118_0018, 0x7FFF_FFFF_FFFF_F800, 0, 0]);

        Assert.Equal(fresh ? 0x2_2000UL : 0x1_1000UL, Reach());
    }

    [Fact]
    public void Invalidations_take_effect_at_the_next_wait_that_notifies()
    {
        Start(DeviceFeatures.None);
        Assert.Equal(0x1_1000UL, Reach());
        Fixture.Ok(_table.Map(Page, 0x2_2000, true));

        Submit([[0x0000_0005_0001_0026, 0, 0, 0], [0x45, 0, 0, 0]]);
        Assert.Equal(0x1_1000UL, Reach());
        Submit([[0x15, 0, 0, 0]]); // IF

        Assert.Equal(0x2_2000UL, Reach());
    }

    [Fact]
    public void Only_caching_mode_keeps_what_is_not_present_and_never_a_page()
    {
        foreach (int cachingMode in new[] { 0, 1 })
        {
            Start(DeviceFeatures.None, cachingMode);
            var other = new Pasid(6);
            Assert.Equal(Nothing, Reach(other));
            Assert.Equal(Nothing, Reach(s_pasid, 0x9000));
            Fixture.Ok(_table.Map(0x9000, 0x3_3000, true));
            PasidTableTests.StoreUnnoticed(_memory, _domain.Table, other.Value, _table.Root);

            Assert.Equal(0x3_3000UL, Reach(s_pasid, 0x9000));
            Assert.Equal(cachingMode == 1 ? Nothing : 0x1_1000UL, Reach(other));
            _model.DropCaches();
            Assert.Empty(_model.Cached);
            Assert.Equal(0x1_1000UL, Reach(other));
            Assert.Contains(_model.Cached, item => item.Cache == "PASID-cache" && item.Key.Contains("PASID 0x6"));
        }
    }

    [Fact]
    public void An_entry_that_changes_while_it_is_cached_is_complained_about()
    {
        Start(DeviceFeatures.None);
        Assert.Equal(0x1_1000UL, Reach());
        Assert.Empty(_model.Violations);

        ulong entry = PasidTableTests.EntryAddress(_memory, _domain.Table, s_pasid.Value);
        _memory.WriteQword(entry + 16, 0x7001);

        Assert.Equal("vtd-cached-entry-changed", Assert.Single(_model.Violations).Rule);
    }

    [Fact]
    public void Register_sequences_that_are_forbidden_are_complained_about()
    {
        _model = new VtdModel(_memory, new HardwareSetup());

        _model.Registers.Write32(GCMD, 0xC000_0000);
        _model.Registers.Write32(GCMD, 0x8000_0000);

        Assert.Equal(["vtd-gcmd", "vtd-te", "vtd-te"], _model.Violations.Select(c => c.Rule));
    }

    [Fact]
    public void Accessed_and_dirty_flags_are_written_and_rights_are_kept()
    {
        Start(DeviceFeatures.None);
        Fixture.Ok(_table.Map(Page, 0x2_2000, false));
        ulong leaf = LeafAddress();
        _memory.WriteQword(leaf, 0x2_2007); // neither accessed nor dirty

        Assert.Equal(0x2_2000UL, Reach());
        Assert.Equal(0x2_2027UL, _memory.ReadQword(leaf));
        Assert.Equal(TranslationStatus.Translated, Access(s_pasid, Page, true).Status);
        Assert.Equal(0x2_2067UL, _memory.ReadQword(leaf));
        Fixture.Ok(_table.Map(Page, 0x2_2000, false));
        Assert.Equal(TranslationStatus.Translated, Access(s_pasid, Page, true).Status); // stale rights
        Send([0x0000_0005_0001_0036, Page, 0, 0]);
        Assert.Equal(0x85, Access(s_pasid, Page, true).FaultCode);
        Assert.Equal(0x85UL, (_model.Registers.Read64(0x228) >> 32) & 0xFF);
    }

    [Theory]
    [InlineData(0x0000_0000_0007_00F2UL, 0x5000UL, true)] // page in domain 7
    [InlineData(0x0000_0000_0007_00E2UL, 0UL, true), InlineData(0x0000_0000_0007_00F2UL, 0x6000UL, false)]
    [InlineData(0x0000_0000_0001_00F2UL, 0x5000UL, false)]
    [InlineData(0x0000_0006_0007_0026UL, 0UL, false)] // P_IOTLB is for first-stage translations
    public void Second_stage_translations_go_by_domain(ulong low, ulong high, bool drops)
    {
        Start(DeviceFeatures.None, 0, ("second-stage", "1"));
        ulong tables = Fixture.Ok(_memory.AllocatePages(4 * 4096));
        for (ulong level = 0; level < 3; level++)
        {
            _memory.WriteQword(tables + (level << 12), (tables + ((level + 1) << 12)) | 3);
        }

        _memory.WriteQword(tables + 0x3028, 0x4_4003);
        ulong entry = PasidTableTests.EntryAddress(_memory, _domain.Table, 6);
        _memory.WriteQword(entry + 8, 7); // domain id
        _memory.WriteQword(entry, tables | 0x89);
        Assert.Equal(0x4_4000UL, Reach(new Pasid(6)));
        _memory.WriteQword(tables + 0x3028, 0x5_5003);

        Assert.Equal(0x4_4000UL, Reach(new Pasid(6)));
        Send([low, high, 0, 0]);

        Assert.Equal(drops ? 0x5_5000UL : 0x4_4000UL, Reach(new Pasid(6)));
        Assert.Equal(0x1_1000UL, Reach());
    }

    [Fact]
    public void An_unknown_option_is_refused_and_the_setup_decides_coherence()
    {
        using IIommuModel model = new VtdModelFactory().Create(new HardwareSetup { Coherent = false });
        Assert.False(model.ModelMemory.IsCoherent);
        Assert.Throws<ArgumentException>(() => new VtdModel(_memory, Fixture.With(("cache", "1"))));
    }

    [Fact]
    public void Devices_access_while_the_driver_binds_and_unbinds()
    {
        const int Rounds = 300;
        Start(DeviceFeatures.Ats);
        VtdDevice device = Fixture.Ok(_unit.AddDevice(Fixture.Gpu, DeviceFeatures.Ats, _domain));
        using var barrier = new Barrier(2);
        var pasid = new Pasid(9);
        int wrong = 0;
        var accesses = new Thread(() =>
        {
            for (int round = 0; round < Rounds; round++)
            {
                barrier.SignalAndWait();
                for (int i = 0; i < 50; i++)
                {
                    TranslationResult result = _model.Translate(new DmaAccess(Fixture.Gpu, pasid, Page, false));
                    wrong += result.Status == TranslationStatus.Translated && result.Address != 0x1_1000 ? 1 : 0;
                }
            }
        });
        accesses.Start();
        for (int round = 0; round < Rounds; round++)
        {
            barrier.SignalAndWait();
            UnitLink? link = null;
            Fixture.Ok(_domain.Attach(pasid, _table.Root, device, true, ref link));
            Fixture.Ok(_domain.Detach(pasid, device, true, ref link));
            Assert.NotEqual(
                TranslationStatus.Translated, _model.Translate(new DmaAccess(Fixture.Gpu, pasid, Page, false)).Status);
        }

        accesses.Join();
        Assert.Equal(0, wrong);
        Assert.Empty(_model.Violations);
    }

    private void Start(DeviceFeatures features, int cachingMode = 0, params (string Name, string Value)[] options)
    {
        _model = new VtdModel(_memory, Fixture.With([("caching-mode", $"{cachingMode}"), .. options]));
        _unit = Fixture.Ok(VtdUnit.Start(new UnitSetup { Name = "dmar0", Hardware = _model }));
        _domain = Fixture.Ok(_unit.AddDomain(20));
        VtdDevice device = Fixture.Ok(_unit.AddDevice(Fixture.Nic, features, _domain));
        _table = Fixture.Ok(X86PageTables.FourLevel.Create(_memory));
        Fixture.Ok(_table.Map(Page, 0x1_1000, true));
        UnitLink? link = null;
        Fixture.Ok(_domain.Attach(s_pasid, _table.Root, device, true, ref link));
        _queue = _model.Registers.Read64(IQA) & ~0xFFFUL;
    }

    private TranslationResult Access(Pasid pasid, ulong address, bool write) =>
        _model.Translate(new DmaAccess(Fixture.Nic, pasid, address, write));

    // Where a read ends; 0 for nowhere.
    private ulong Reach(Pasid? pasid = null, ulong address = Page) => Access(pasid ?? s_pasid, address, false).Address;

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

    private ulong LeafAddress()
    {
        ulong table = _table.Root;
        for (int level = 3; level > 0; level--)
        {
            table = _memory.ReadQword(table) & 0x000F_FFFF_FFFF_F000;
        }

        return table + (Page >> 9);
    }
}
