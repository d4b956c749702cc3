// SPDX-License-Identifier: Apache-2.0
using System.Globalization;

namespace PasidFramework.Identifiers;

/// <summary>
/// The number by which an IOMMU knows a device: the PCI requester ID (bus 15:8, device 7:3, function 2:0) for VT-d, the
/// StreamID for SMMUv3, the endpoint for virtio-iommu. PCI devices have the same value in all three.
/// </summary>
/// <param name="Value">The number; PCI uses 16 bits, SMMUv3 StreamIDs and virtio endpoints up to 32.</param>
public readonly record struct RequesterId(uint Value)
{
    /// <summary>PCI bus number, bits 15:8.</summary>
    public byte Bus => (byte)(Value >> 8);

    /// <summary>PCI device and function number, bits 7:0.</summary>
    public byte DevFn => (byte)Value;

    /// <summary>Whether the number fits a PCI requester ID (16 bits).</summary>
    public bool IsPci => Value <= 0xFFFF;

    /// <summary>Reads <c>bb:dd.f</c> (PCI, hexadecimal) or a plain number (decimal, or hexadecimal with 0x).</summary>
    /// <param name="id">The number read.</param>
    /// <returns>Whether the text was one of the two forms.</returns>
    public static bool TryParse(string? text, out RequesterId id)
    {
        id = default;
        if (string.IsNullOrWhiteSpace(text))
        {
            return false;
        }

        int colon = text.IndexOf(':', StringComparison.Ordinal);
        int dot = text.IndexOf('.', StringComparison.Ordinal);
        if (colon > 0 && dot > colon)
        {
            if (uint.TryParse(text.AsSpan(0, colon), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture,
                out uint bus)
                && uint.TryParse(text.AsSpan(colon + 1, dot - colon - 1), NumberStyles.AllowHexSpecifier,
                    CultureInfo.InvariantCulture, out uint device)
                && uint.TryParse(text.AsSpan(dot + 1), NumberStyles.None, CultureInfo.InvariantCulture,
                    out uint function)
                && bus <= 0xFF && device <= 0x1F && function <= 7)
            {
                id = new RequesterId((bus << 8) | (device << 3) | function);
                return true;
            }

            return false;
        }

        bool hex = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        if (uint.TryParse(
            hex ? text.AsSpan(2) : text.AsSpan(),
            hex ? NumberStyles.AllowHexSpecifier : NumberStyles.None,
            CultureInfo.InvariantCulture,
            out uint value))
        {
            id = new RequesterId(value);
            return true;
        }

        return false;
    }

    /// <summary>The number as <c>bb:dd.f</c> where it is a PCI one, else in hexadecimal.</summary>
    public override string ToString() => IsPci
        ? Text($"{Bus:x2}:{DevFn >> 3:x2}.{DevFn & 7}")
        : Text($"0x{Value:x}");
}
