// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests.Support;

internal enum Scope
{
    Domain,
    Pasid,
    Pages,
}

/// <summary>An invalidation, whichever dialect it was written in.</summary>
internal sealed record Invalidation(
    Scope Scope,
    bool IsConfig,
    bool Leaf,
    uint Domain,
    uint Pasid,
    ulong Id,
    ulong First,
    ulong Pages,
    int GranuleLog2);

/// <summary>Reads requests by plain byte offsets; it shares nothing with the driver's declarations.</summary>
internal static class WireReader
{
    public static uint U32(byte[] bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at));
    public static ulong U64(byte[] bytes, int at) => BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(at));

    public static Invalidation ReadInvalidation(string dialect, byte[] bytes)
    {
        Assert.Equal(60, bytes.Length);
        Assert.Equal(7u, U32(bytes, 0));
        Assert.All(bytes[41..60], b => Assert.Equal(0, b));
        int flags = bytes[6] | (bytes[7] << 8);
        Scope scope;
        bool config;
        bool leaf;
        if (dialect == "B")
        {
            scope = (bytes[4] | (bytes[5] << 8)) switch
            {
                1 => Scope.Domain,
                2 => Scope.Pasid,
                4 => Scope.Pages,
                _ => Bad(),
            };
            config = (flags & 1) != 0;
            leaf = (flags & 2) != 0;
        }
        else
        {
            scope = bytes[4] switch { 1 => Scope.Domain, 2 => Scope.Pasid, 3 => Scope.Pages, _ => Bad() };
            Assert.InRange(bytes[5], 1, 2);
            config = bytes[5] == 1;
            leaf = (flags & 1) != 0;
            Assert.Equal(2, flags & 2);
            Assert.Equal(config ? 0 : 4, flags & 4);
        }

        return new Invalidation(
            scope,
            config,
            leaf,
            U32(bytes, 8),
            U32(bytes, 12),
            U64(bytes, 16),
            U64(bytes, 24), U64(bytes, 32), bytes[40]);
    }

    private static Scope Bad() => throw new InvalidOperationException("No such scope.");
}
