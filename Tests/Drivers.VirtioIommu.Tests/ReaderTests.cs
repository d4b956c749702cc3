// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests;

/// <summary>The reader of attached tables, on tables of the real writer and on broken ones.</summary>
public sealed class ReaderTests
{
    private static readonly Pasid s_first = new(3);
    private static readonly Pasid s_far = new(0x1234);

    [Theory]
    [InlineData("B"), InlineData("E")]
    public void Everything_that_is_installed_is_listed_in_order_and_nothing_else(string dialect)
    {
        using var fixture = new ModelFixture(dialect);
        using DomainTable table = fixture.AttachAndInstall(s_far);
        Assert.Equal(OpResult.Ok, table.Install(s_first, fixture.PageTable.Root, 9));
        ITableView view = Open(fixture, dialect, 0x18);

        TableItem[] items = [.. view.Items()];

        Assert.Equal(
            [TableItemKind.Directory, TableItemKind.Pasid, TableItemKind.Directory, TableItemKind.Pasid],
            items.Select(i => i.Kind));
        Assert.Equal([s_first, s_far], items.Where(i => i.Pasid is not null).Select(i => i.Pasid!.Value));
        Assert.All(items, i => Assert.Equal(new RequesterId(0x18), i.Requester));
        Assert.Equal(["arm-smmuv3/l1_cd_desc", "arm-smmuv3/cd"], items.Take(2).Select(i => i.Structure));
        Assert.Equal(8, items[1].Words.Count);
        Assert.Contains("ASID 9,", items[1].Text, StringComparison.Ordinal);
        Assert.Equal(OpResult.Ok, table.RemoveEndpoint(ModelFixture.Endpoint));
    }

    [Theory]
    [InlineData("B"), InlineData("E")]
    public void A_walk_names_every_entry_and_ends_where_the_model_ends(string dialect)
    {
        using var fixture = new ModelFixture(dialect);
        using DomainTable table = fixture.AttachAndInstall(s_far);
        ITableView view = Open(fixture, dialect);
        var access = new DmaAccess(new RequesterId(0x18), s_far, ModelFixture.Page + 5, false);

        TableWalk walk = view.Walk(access);

        Assert.Equal(
            ["arm-smmuv3/l1_cd_desc", "arm-smmuv3/cd", .. Enumerable.Repeat("arm-smmuv3/s1_pte", 4)],
            walk.Steps.Select(s => s.Structure));
        Assert.Equal(fixture.Model.Translate(access), walk.Result);
        Assert.Equal(OpResult.Ok, table.RemoveEndpoint(ModelFixture.Endpoint));
    }

    [Fact]
    public void What_is_wrong_is_a_finding_with_its_field()
    {
        var memory = new SystemMemory();
        ulong root = memory.AllocatePages(4096).Value;
        ulong leaf = memory.AllocatePages(4096).Value;
        memory.WriteQword(root, leaf | 1 | (1UL << 60));
        memory.WriteQword(root + 8, leaf | 1);
        memory.WriteQword(root + 16, root | 1);
        memory.WriteQword(root + 24, 0x7000_0000_0001);
        memory.WriteQword(leaf + 64, 0x002ae205c0003510 & ~63UL);
        memory.WriteQword(leaf + 128, 0x002ae205c0003510);
        memory.WriteQword(leaf + 136, 0x7000_0000_0000 | (1UL << 60));
        memory.WriteQword(leaf + 192, 0x80);

        ITableView view = Open(
            memory, new() { ["s1contextptr"] = root, ["s1fmt"] = 1, ["s1cdmax"] = 8, ["s1dss"] = 2 });
        TableItem[] items = [.. view.Items()];

        Assert.Equal(
            ["RSVD[63:56]", "T0SZ", null, "RSVD[127:124]", "TTB0", "L2Ptr", "L2Ptr", "L2Ptr"],
            items.Where(i => i.Kind == TableItemKind.Finding).Select(i => i.Field));
        Assert.Contains(items, i => i.Text == "invalid" && i.Pasid == new Pasid(3));
    }

    [Theory]
    [InlineData(0, TranslationStatus.Faulted), InlineData(1, TranslationStatus.Bypassed)]
    public void Requests_without_a_PASID_follow_S1DSS(int s1Dss, object status)
    {
        var memory = new SystemMemory();
        ulong table = memory.AllocatePages(4096).Value;
        ITableView view = Open(memory, new() { ["s1contextptr"] = table, ["s1cdmax"] = 6, ["s1dss"] = (ulong)s1Dss });

        TranslationResult result = view.Walk(new DmaAccess(new RequesterId(1), null, 0x1000, false)).Result;

        Assert.Equal(status, result.Status);
        Assert.Equal(s1Dss == 0 ? (int)FaultReason.Domain : 0, result.FaultCode);
    }

    public static TheoryData<string, string> Refusals => new()
    {
        { "s1fmt=1", "give s1contextptr" },
        { "s1contextptr=1000 ste0=b", "give s1contextptr" },
        { "ste0=b s1dss=1", "give s1contextptr" },
        { "s1contextptr=1000 ste1=2", "give s1contextptr" },
        { "s1contextptr=1000 s1fmt=3", "S1Fmt 3" },
        { "s1contextptr=1000 s1dss=3", "S1DSS 3" },
        { "s1contextptr=1000 s1cdmax=15", "S1CDMax is 21" },
        { "s1contextptr=1010", "S1ContextPtr" },
        { "s1contextptr=1000000000000", "below 2^48" },
        { "ste0=9", "stage 1 alone" },
        { "s1contextptr=1000 endpoint=100000000", "32 bits" },
        { "s1contextptr=1000 pasid=1", "'pasid'" },
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    public void Parameters_that_say_nothing_that_can_be_walked_are_EINVAL(string parameters, string why)
    {
        Dictionary<string, ulong> registers = parameters.Split(' ').Select(p => p.Split('=')).ToDictionary(
            p => p[0], p => Convert.ToUInt64(p[1], 16));

        OpResult<ITableView> view =
            new VirtioTableReader { ArmSmmuV3Reader = new ArmSmmu.Reader.SmmuTableReader() }.Open(new MemoryImage(),
                registers);

        Refused(Errno.EINVAL, why, view);
    }

    [Fact]
    public void The_table_of_one_endpoint_is_no_other_endpoints()
    {
        ITableView view = Open(new MemoryImage(), new() { ["s1contextptr"] = 0x1000, ["endpoint"] = 1 });

        Assert.Equal(
            TranslationStatus.Faulted,
            view.Walk(new DmaAccess(new RequesterId(2), new Pasid(1), 0, false)).Result.Status);
        Assert.Single(view.Items());
    }

    private static ITableView Open(ModelFixture fixture, string dialect, uint? endpoint = null)
    {
        Dictionary<string, ulong> registers = dialect == "B"
            ? new() { ["s1contextptr"] = fixture.TableRoot, ["s1fmt"] = 2, ["s1cdmax"] = 16, ["s1dss"] = 2 }
            : new() { ["ste0"] = 0b1011 | (2 << 4) | fixture.TableRoot | (16UL << 59), ["ste1"] = 2 };
        if (endpoint is { } number)
        {
            registers["endpoint"] = number;
        }

        return Open(fixture.Memory, registers);
    }

    private static ITableView Open(IMemoryReader memory, Dictionary<string, ulong> registers)
    {
        OpResult<ITableView> view =
            new VirtioTableReader { ArmSmmuV3Reader = new ArmSmmu.Reader.SmmuTableReader() }.Open(memory, registers);
        Assert.True(view.IsOk, view.ToString());
        return view.Value;
    }
}
