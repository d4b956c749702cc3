// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tests;

/// <summary>What the model keeps until which command, one at a time, on tables and commands made by hand.</summary>
public sealed class ModelTests : IDisposable
{
    private const uint Sid = 3;
    private const ulong Page = 0x7f00_1234_5000;
    private const ulong Target = 0x5_0000_0000;
    private readonly ModelMemory _memory = new();
    private readonly SmmuModel _model;
    private readonly IPageTable _pages;
    private readonly ulong _streams;
    private readonly ulong _contexts;
    private readonly ulong _queue;
    private uint _produced;

    public ModelTests()
    {
        _model = new SmmuModel(_memory, new HardwareSetup
        {
            PasidBits = 6,
            Options = new Dictionary<string, string> { ["sid-bits"] = "6" },
        });
        _pages = ArmPageTables.Granule4K.Create(_memory).Value!;
        _pages.Map(Page, Target, writable: false);
        _streams = _memory.AllocatePages(4096).Value;
        _contexts = _memory.AllocatePages(4096).Value;
        _queue = _memory.AllocatePages(4096).Value;
        ulong events = _memory.AllocatePages(4096).Value;
        _model.Registers.Write64(Registers.STRTAB_BASE, _streams);
        _model.Registers.Write32(Registers.STRTAB_BASE_CFG, 6);
        _model.Registers.Write64(Registers.CMDQ_BASE, _queue | 8);
        _model.Registers.Write64(Registers.EVENTQ_BASE, events | 7);
        _model.Registers.Write32(Registers.CR2, Registers.CR2_RECINVSID);
        _model.Registers.Write32(Registers.CR0, Registers.CR0_CMDQEN | Registers.CR0_EVTQEN);
        Run(Commands.CfgiAll(), Commands.TlbiNsnhAll(), Commands.Sync());
        _model.Registers.Write32(
            Registers.CR0, Registers.CR0_CMDQEN | Registers.CR0_EVTQEN | Registers.CR0_ATSCHK | Registers.CR0_SMMUEN);
        Stream(ats: false);
        Context(5, asid: 7, _pages.Root);
    }

    public void Dispose()
    {
        _pages.Dispose();
        _model.Dispose();
    }

    [Fact]
    public void A_page_is_reached_with_its_permissions_and_faults_carry_the_vendors_record()
    {
        Assert.Equal((TranslationStatus.Translated, Target + 0x678), Reach(5, Page + 0x678));

        TranslationResult write =
            _model.Translate(new DmaAccess(new RequesterId(Sid), new Pasid(5), Page, IsWrite: true));
        Assert.Equal((TranslationStatus.Faulted, 0x13), (write.Status, write.FaultCode));
        Assert.Equal(0x10,
            _model.Translate(new DmaAccess(new RequesterId(Sid), new Pasid(5), Page + 0x1000, false)).FaultCode);

        ulong events = _model.Registers.Read64(Registers.EVENTQ_BASE) & ~0xFFFUL;
        Assert.Equal(2u, _model.Registers.Read32(Registers.EVENTQ_PROD));

        // F_PERMISSION of a write, then F_TRANSLATION of a read: CLASS 2, SSV, SSID 5, StreamID 3, the address.
        Assert.Equal(
            [0x3_0000_5813, 0x200_0000_0000, Page, 0, 0x3_0000_5810, 0x208_0000_0000, Page + 0x1000, 0],
            Enumerable.Range(0, 8).Select(i => _memory.ReadQword(events + ((ulong)i * 8))));
        Assert.Empty(_model.Violations);
    }

    [Theory]
    [InlineData(true), InlineData(false)]
    public void D6_a_translation_stays_until_its_own_ASID_address_and_VMID_are_named(bool sync)
    {
        Reach(5, Page);
        _pages.Map(Page, Target + 0x1000, writable: true);
        SmmuCommand[] others =
        [
            Commands.TlbiNhVa(0, 8, Page), Commands.TlbiNhVa(1, 7, Page), Commands.TlbiNhVa(0, 7, Page + 0x1000),
            Commands.TlbiNhVaRange(0, 7, Page - 0x2000, 1, 0), Commands.TlbiNhAsid(0, 6), Commands.CfgiCdAll(Sid),
            Commands.CfgiSte(Sid, leaf: false), Commands.TlbiNhAll(1),
        ];
        foreach (SmmuCommand other in others)
        {
            Run(other, Commands.Sync());
            Assert.Equal((TranslationStatus.Translated, Target), Reach(5, Page));
        }

        Assert.NotNull(_model.FindStale());
        Run(sync ? [Commands.TlbiNhVaRange(0, 7, Page - 0x2000, 2, 0), Commands.Sync()]
            : [Commands.TlbiNhVa(0, 7, Page)]);
        Assert.Equal((TranslationStatus.Translated, sync ? Target + 0x1000 : Target), Reach(5, Page));
        Assert.Equal(sync, _model.FindStale() is null);
    }

    [Fact]
    public void Leaf_keeps_the_tables_of_a_walk()
    {
        Reach(5, Page);
        Assert.Equal(3, _model.Cached.Count(c => c.Cache == "walk cache"));
        Run(new SmmuCommand(Commands.TlbiNhVa(0, 7, Page).Word0, Page | 1), Commands.Sync());
        Assert.Equal(3, _model.Cached.Count(c => c.Cache == "walk cache"));
        Assert.DoesNotContain(_model.Cached, c => c.Cache == "TLB");
        Run(Commands.TlbiNhVa(0, 7, Page), Commands.Sync());
        Assert.DoesNotContain(_model.Cached, c => c.Cache == "walk cache");
    }

    [Fact]
    public void A_descriptor_is_cached_valid_or_not_until_its_own_StreamID_and_SubstreamID_are_named()
    {
        Assert.Equal(TranslationStatus.Faulted, Reach(6, Page).Status);
        Context(6, asid: 8, _pages.Root);
        Run(Commands.CfgiCd(Sid, 5, leaf: false), Commands.CfgiCd(Sid + 1, 6, leaf: true), Commands.Sync());
        Assert.Equal(TranslationStatus.Faulted, Reach(6, Page).Status);
        Run(Commands.CfgiCd(Sid, 6, leaf: true));
        Assert.Equal(TranslationStatus.Faulted, Reach(6, Page).Status);
        Run(Commands.Sync());
        Assert.Equal((TranslationStatus.Translated, Target), Reach(6, Page));
    }

    [Fact]
    public void D5_without_a_SYNC_between_them_a_device_fetches_again_what_the_TLB_still_has()
    {
        Stream(ats: true);
        Run(Commands.CfgiSte(Sid, leaf: true), Commands.Sync());
        foreach (bool isRight in new[] { false, true })
        {
            _pages.Map(Page, Target, writable: true);
            Run(Commands.TlbiNhAsid(0, 7), Commands.Sync(), Commands.AtcInv(Sid, 5, 0, 52), Commands.Sync());
            Reach(5, Page);
            Assert.Contains(_model.Cached, c => c.Cache == "device-TLB");
            _pages.Map(Page, Target + 0x2000, writable: true);
            Run(isRight
                ? [Commands.TlbiNhVa(0, 7, Page), Commands.Sync(), Commands.AtcInv(Sid, 5, Page, 0), Commands.Sync()]
                : [Commands.TlbiNhVa(0, 7, Page), Commands.AtcInv(Sid, 5, Page, 0), Commands.Sync()]);
            Assert.Equal((TranslationStatus.Translated, isRight ? Target + 0x2000 : Target), Reach(5, Page));
        }
    }

    [Fact]
    public void D5_without_a_SYNC_after_the_configuration_the_walker_loads_again_what_was_invalidated()
    {
        Reach(5, Page);
        _memory.WriteQword(_contexts + (5 * 64), 0);
        Run(Commands.CfgiCd(Sid, 5, leaf: true), Commands.TlbiNhAsid(0, 7), Commands.Sync());
        Assert.Contains(_model.Cached, c => c.Cache == "TLB");
        Run(Commands.TlbiNhAsid(0, 7), Commands.Sync());
        Assert.DoesNotContain(_model.Cached, c => c.Cache == "TLB");
    }

    [Fact]
    public void Two_tables_under_one_ASID_freed_memory_and_torn_entries_are_complained_of()
    {
        Reach(5, Page);
        using IPageTable other = ArmPageTables.Granule4K.Create(_memory).Value!;
        other.Map(Page, Target + 0x3000, writable: true);
        Context(6, asid: 7, other.Root);
        Assert.Equal((TranslationStatus.Translated, Target), Reach(6, Page));
        Assert.Contains(_model.Violations, c => c.Rule == "smmu-asid-of-two-tables");

        other.Dispose();
        Assert.Contains(_model.Violations, c => c.Rule == "smmu-freed-while-cached");

        Context(5, asid: 9, Target);
        Run(Commands.CfgiCd(Sid, 5, leaf: true), Commands.Sync());
        Assert.Contains(_model.Violations, c => c.Rule == "smmu-torn-entry");

        _memory.WriteQword(_contexts + (9 * 64), 1UL << 31);
        _memory.WriteQword(_contexts + (9 * 64) + 56, 1);
        Reach(9, Page);
        Assert.Contains(_model.Violations, c => c.Rule == "smmu-reserved-bits");

        _model.Registers.Write64(Registers.STRTAB_BASE, 0);
        Assert.Contains(_model.Violations, c => c.Rule == "smmu-register-in-use");
    }

    [Fact]
    public void A_walk_into_freed_memory_is_complained_of_and_one_into_memory_that_never_was_is_not()
    {
        ulong freed = _memory.AllocatePages(4096).Value;
        Context(6, asid: 8, Target);
        Reach(6, Page);
        Assert.DoesNotContain(_model.Violations, c => c.Rule == "smmu-stray-read");

        _memory.FreePages(freed, 4096);
        Context(9, asid: 9, freed);
        Reach(9, Page);
        ProtocolViolation violation = Assert.Single(_model.Violations, c => c.Rule == "smmu-stray-read");
        Assert.Contains($"0x{freed + ((Page >> 39) * 8):x}", violation.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Caches_can_be_dropped()
    {
        Reach(5, Page);
        Assert.Equal(["CD", "STE", "TLB", "walk cache"], _model.Cached.Select(c => c.Cache).Distinct().Order());
        _model.DropCaches();
        Assert.Empty(_model.Cached);
        Assert.Throws<ArgumentException>(() => new SmmuModel(
            _memory, new HardwareSetup { Options = new Dictionary<string, string> { ["speed"] = "1" } }));
    }

    private (TranslationStatus Status, ulong Address) Reach(uint pasid, ulong address)
    {
        TranslationResult result = _model.Translate(
            new DmaAccess(new RequesterId(Sid), new Pasid(pasid), address, IsWrite: false));
        return (result.Status, result.Address);
    }

    // Stage 1, linear table of 64 descriptors, write-back.
    private void Stream(bool ats)
    {
        _memory.WriteQword(_streams + (Sid * 64) + 8, 0xD6 | (ats ? 1UL << 28 : 0));
        _memory.WriteQword(_streams + (Sid * 64), (6UL << 59) | _contexts | (5 << 1) | 1);
    }

    private void Context(uint ssid, uint asid, ulong root)
    {
        ulong at = _contexts + (ssid * 64);
        _memory.WriteQword(at + 8, root);
        _memory.WriteQword(at + 24, 0x4FF44);
        _memory.WriteQword(at, 0x0000_E205_C000_3510 | ((ulong)asid << 48));
    }

    private void Run(params SmmuCommand[] commands)
    {
        foreach (SmmuCommand command in commands)
        {
            ulong slot = _queue + ((_produced & 0xFF) * 16UL);
            _memory.WriteQword(slot, command.Word0);
            _memory.WriteQword(slot + 8, command.Word1);
            _produced = (_produced + 1) & 0x1FF;
        }

        _model.Registers.Write32(Registers.CMDQ_PROD, _produced);
        Assert.Equal(_produced, _model.Registers.Read32(Registers.CMDQ_CONS));
    }
}
