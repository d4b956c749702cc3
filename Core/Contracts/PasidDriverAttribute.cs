// SPDX-License-Identifier: Apache-2.0
using System.Composition;

namespace PasidFramework.Contracts;

/// <summary>
/// Exports a vendor driver to the framework. Its values are read from the file before any of its code runs.
/// </summary>
/// <remarks>The class must implement <see cref="IPasidDriver"/> and have a public parameterless or an importing
/// constructor. One driver per assembly.</remarks>
[MetadataAttribute]
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class PasidDriverAttribute : ExportAttribute
{
    /// <summary>Describes the driver.</summary>
    /// <param name="name">Name of the driver as users type it, lower case with dashes: <c>intel-vtd</c>.</param>
    /// <param name="tableFormat">Name of the PASID table format it writes.</param>
    /// <param name="pasidBits">Widest PASID that it supports, 1 to 20 bits.</param>
    public PasidDriverAttribute(string name, string tableFormat, int pasidBits)
        : base(typeof(IPasidDriver))
    {
        Name = name;
        TableFormat = tableFormat;
        PasidBits = pasidBits;
    }

    /// <summary>Name of the driver.</summary>
    public string Name { get; }

    /// <summary>Name of the PASID table format.</summary>
    public string TableFormat { get; }

    /// <summary>Widest PASID in bits.</summary>
    public int PasidBits { get; }

    /// <summary>The hardware's maker or the standard's owner, for people.</summary>
    public string Vendor { get; set; } = string.Empty;

    /// <summary>What it can do beyond the required part of the contract.</summary>
    public DriverCapabilities Capabilities { get; set; }

    /// <summary>Major version of the contract it was written for; the host loads only its own major version.</summary>
    public int ContractMajor { get; set; } = DriverContract.Major;

    /// <summary>Minor version of the contract it needs at least.</summary>
    public int ContractMinor { get; set; } = DriverContract.Minor;
}
