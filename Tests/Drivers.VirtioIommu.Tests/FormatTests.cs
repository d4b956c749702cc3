// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests;

public sealed class FormatTests() : LayoutSuiteTests("virtio-iommu", new VirtioIommuStructures())
{
    private static readonly AttachWords s_table = new(1, 0x840000000, 16, 2, 0x800000084000001b, 0x100000d6);

    public static TheoryData<string> Names => [.. Vector.All.Keys];
    public static TheoryData<string> Violations => [.. ViolationVector.All.Keys];
    public static TheoryData<string> Ids => [.. KnownStructure.All.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_vector_encodes_to_its_bytes(string name)
    {
        Vector vector = Vector.All[name];
        var words = new ulong[vector.Layout.Words];
        vector.Layout.Initialize(words);
        foreach ((string field, ulong value) in vector.Fields)
        {
            Assert.Equal(OpResult.Ok, vector.Layout.TrySet(words, field, value));
        }

        Assert.Equal(Convert.ToHexStringLower(vector.Bytes), Convert.ToHexStringLower(vector.Layout.ToBytes(words)));
        Assert.Empty(vector.Layout.Check(words));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_vectors_bytes_decode_to_its_fields(string name)
    {
        Vector vector = Vector.All[name];

        ulong[] words = vector.Layout.FromBytes(vector.Bytes);

        foreach (LayoutField field in vector.Layout.Fields.Where(f => f.IsNamed))
        {
            Assert.Equal(vector.Fields.GetValueOrDefault(field.Mnemonic), field.Get(words));
        }
    }

    [Fact]
    public void Every_structure_has_a_line_in_each_list()
    {
        string[] ids = [.. VirtioIommuLayouts.All.Select(l => l.Id).Order(StringComparer.Ordinal)];

        Assert.Equal(ids, KnownStructure.All.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(ids, Vector.Positions.Values.Select(v => v.Layout.Id).Order(StringComparer.Ordinal));
        Assert.Equal(ids, ViolationVector.All.Values.Select(v => v.Layout.Id).Distinct().Order(StringComparer.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Ids))]
    public void A_structure_has_the_size_and_fields_that_users_know(string id)
    {
        KnownStructure known = KnownStructure.All[id];
        Layout layout = VirtioIommuLayouts.All.Single(l => l.Id == id);

        Assert.Equal(known.Bits, layout.Bits);
        Assert.Equal(known.Fields, layout.Fields.Where(f => f.IsNamed).Select(f => f.Mnemonic));
        Assert.DoesNotContain(layout.Fields, f => f.Kind == FieldKind.Constant);
    }

    [Theory]
    [MemberData(nameof(Ids))]
    public void A_vector_of_positions_sets_every_field(string id)
    {
        Vector vector = Vector.Positions.Values.Single(v => v.Layout.Id == id);

        Assert.Equal(KnownStructure.All[id].Fields, vector.Fields.Keys);
        Assert.DoesNotContain(0UL, vector.Fields.Values);
    }

    [Theory]
    [MemberData(nameof(Violations))]
    public void What_is_wrong_with_a_structure_is_reported_and_nothing_else(string name)
    {
        ViolationVector vector = ViolationVector.All[name];

        IEnumerable<string> reported = vector.Layout.Check(vector.Layout.FromBytes(vector.Bytes)).Select(v => v.Field);

        Assert.Equal(vector.Reported.Order(StringComparer.Ordinal), reported.Order(StringComparer.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Ids))]
    public void D11_a_single_reserved_bit_is_reported_and_an_ignored_one_is_not(string id)
    {
        Vector vector = Vector.Positions.Values.Single(v => v.Layout.Id == id);
        foreach (LayoutField field in vector.Layout.Fields.Where(f => !f.IsNamed))
        {
            foreach (Field part in field.Parts)
            {
                for (int bit = part.Lsb; bit <= part.Msb; bit++)
                {
                    ulong[] words = vector.Layout.FromBytes(vector.Bytes);
                    words[bit >> 6] |= 1UL << (bit & 63);

                    string[] expected = field.Kind == FieldKind.Reserved ? [part.ToString()] : [];
                    Assert.Equal(expected, vector.Layout.Check(words).Select(v => v.Field));
                }
            }
        }
    }

    [Fact]
    public void A_proposal_says_in_id_and_source_that_it_is_one()
    {
        foreach (Layout layout in VirtioIommuLayouts.All)
        {
            Assert.Equal(
                layout.Id.Contains("/proposal", StringComparison.Ordinal),
                layout.Source.StartsWith("PROPOSAL", StringComparison.Ordinal));
            if (layout.Id.Split("/proposal") is [_, { } rest])
            {
                Assert.StartsWith($"PROPOSAL {rest[0]}, not standard: ", layout.Source, StringComparison.Ordinal);
            }
        }
    }

    [Theory]
    [InlineData("attach"), InlineData("detach"), InlineData("map"), InlineData("unmap"), InlineData("probe")]
    [InlineData("attach_pst_arm"), InlineData("b_inv_config"), InlineData("b_inv_path"), InlineData("b_inv_tlb")]
    [InlineData("b_inv_range"), InlineData("e_attach"), InlineData("e_inv_config"), InlineData("e_inv_path")]
    [InlineData("e_inv_tlb"), InlineData("e_inv_range")]
    public void The_drivers_encoder_writes_the_vectors_bytes(string name)
    {
        // Whatever was in the buffer before must not show.
        Span<ulong> words = new ulong[TableDialect.MaxWords];
        words.Fill(0x5555_5555_5555_5555);
        TableDialect dialect = name.StartsWith("e_", StringComparison.Ordinal)
            ? VsmmuDialect.Instance
            : V09Dialect.Instance;

        Span<ulong> encoded = name switch
        {
            "attach" => StandardRequests.EncodeAttach(words, 1, 0x18, 0),
            "detach" => StandardRequests.EncodeDetach(words, 1, 0x18),
            "map" => StandardRequests.EncodeMap(words, 1, 0x10000, 0x1ffff, 0x80000000, 3),
            "unmap" => StandardRequests.EncodeUnmap(words, 1, 0x10000, 0x1ffff),
            "probe" => StandardRequests.EncodeProbe(words, 0x18),
            "attach_pst_arm" or "e_attach" => dialect.EncodeAttach(words, 1, 0x18, s_table),
            "b_inv_config" or "e_inv_config" => dialect.EncodeConfiguration(words, 1, 0x12345, leafOnly: true),
            "b_inv_path" or "e_inv_path" => dialect.EncodeConfiguration(words, 1, 0x12345, leafOnly: false),
            "b_inv_tlb" or "e_inv_tlb" => dialect.EncodeTranslations(words, 1, 0x12345, 0x2a),
            _ => dialect.EncodeRange(words, 1, 0x12345, 0x2a, 0x7f0012340000, 16, 12),
        };

        Vector vector = Vector.All[name];
        Assert.Equal(Convert.ToHexStringLower(vector.Bytes), Convert.ToHexStringLower(vector.Layout.ToBytes(encoded)));
    }

    [Fact]
    public void What_the_driver_writes_ends_where_the_tail_begins()
    {
        Assert.Equal(AttachRequest.DriverBytes, AttachRequest.Layout.Bytes - 4);
        Assert.Equal(DetachRequest.DriverBytes, DetachRequest.Layout.Bytes - 4);
        Assert.Equal(MapRequest.DriverBytes, MapRequest.Layout.Bytes - 4);
        Assert.Equal(UnmapRequest.DriverBytes, UnmapRequest.Layout.Bytes - 4);
        Assert.Equal(ProposalBAttachPstArm.DriverBytes, ProposalBAttachPstArm.Layout.Bytes - 4);
        Assert.Equal(ProposalBInvalidate.DriverBytes, ProposalBInvalidate.Layout.Bytes - 4);
        Assert.Equal(ProposalEAttachArmSmmu3.DriverBytes, ProposalEAttachArmSmmu3.Layout.Bytes - 4);
        Assert.Equal(ProposalEInvalidate.DriverBytes, ProposalEInvalidate.Layout.Bytes - 4);
        Assert.Equal(ProbeRequest.DriverBytes, ProbeRequest.Layout.Bytes);
        Assert.Equal(FaultEvent.Bytes, FaultEvent.Layout.Bytes);
    }
}
