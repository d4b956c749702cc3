// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Contracts;

/// <summary>One item of the tables.</summary>
public sealed record TableItem
{
    /// <summary>What it is.</summary>
    public required TableItemKind Kind { get; init; }

    /// <summary>Id of its structure, such as <c>intel-vtd/pasid_entry</c>: a layout of the same assembly explains
    /// it.</summary>
    public required string Structure { get; init; }

    /// <summary>Byte address of the entry.</summary>
    public required ulong Address { get; init; }

    /// <summary>Its 64-bit words, low word first; empty where it could not be read.</summary>
    public IReadOnlyList<ulong> Words { get; init; } = [];

    /// <summary>The device, where the item belongs to one.</summary>
    public RequesterId? Requester { get; init; }

    /// <summary>The PASID, where the item belongs to one.</summary>
    public Pasid? Pasid { get; init; }

    /// <summary>The field that a finding is about, by its mnemonic; null for all other items.</summary>
    public string? Field { get; init; }

    /// <summary>A finding in words, with value and limit; else a short reading of the entry.</summary>
    public required string Text { get; init; }
}
