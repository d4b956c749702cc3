// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace PasidFramework.Qemu.Machine;

/// <summary>
/// QEMU's QTest protocol: one line a command, one line an answer. Every command has a deadline; what is not an answer
/// is a <see cref="QemuException"/>, and so is every command after that one.
/// </summary>
/// <remarks>Safe for concurrent use: one command at a time.</remarks>
internal sealed class QTestClient : IDisposable
{
    private const int LongestLine = 4096;
    private readonly Lock _gate = new();
    private readonly Socket _socket;
    private readonly TimeSpan _patience;
    private readonly Func<bool, string> _describe;
    private readonly byte[] _buffer = new byte[LongestLine];
    private string? _broken;
    private int _receiveTimeout;
    private int _start;
    private int _end;

    /// <param name="socket">The socket; owned from now on.</param>
    /// <param name="patience">How long an answer may take.</param>
    /// <param name="describe">What QEMU did meanwhile, for messages; its argument says whether the connection was
    /// lost, so that it should have ended.</param>
    public QTestClient(Socket socket, TimeSpan patience, Func<bool, string> describe)
    {
        _socket = socket;
        _patience = patience;
        _describe = describe;
        _socket.SendTimeout = (int)patience.TotalMilliseconds;
    }

    public uint Read8(ulong address) => (uint)Run([QTestCommand.Read(address, 8)]);
    public uint Read16(ulong address) => (uint)Run([QTestCommand.Read(address, 16)]);
    public uint Read32(ulong address) => (uint)Run([QTestCommand.Read(address, 32)]);
    public ulong Read64(ulong address) => Run([QTestCommand.Read(address, 64)]);
    public void Write8(ulong address, uint value) => Run([QTestCommand.Write(address, value, 8)]);
    public void Write16(ulong address, uint value) => Run([QTestCommand.Write(address, value, 16)]);
    public void Write32(ulong address, uint value) => Run([QTestCommand.Write(address, value, 32)]);
    public void Write64(ulong address, ulong value) => Run([QTestCommand.Write(address, value, 64)]);
    public void Dispose() => _socket.Dispose();

    /// <summary>Sends several commands at once: each exchange costs two switches between processes, whatever it
    /// holds.</summary>
    /// <param name="commands">The commands, together at most 512 bytes, in their order.</param>
    /// <returns>The number that the last one is answered with; 0 where it has none.</returns>
    /// <exception cref="QemuException">One is not answered in time, or with something else.</exception>
    public ulong Run(params ReadOnlySpan<QTestCommand> commands)
    {
        lock (_gate)
        {
            if (_broken is not null)
            {
                throw new QemuException(_broken);
            }

            string current = commands[0].Line;
            try
            {
                Send(commands);
                ulong number = 0;
                foreach (QTestCommand command in commands)
                {
                    current = command.Line;
                    number = Answer(command);
                }

                return number;
            }
            catch (SocketException e)
            {
                throw Broken(e.SocketErrorCode is SocketError.TimedOut or SocketError.WouldBlock
                    ? Late(current)
                    : $"QEMU went away at '{current}' ({e.SocketErrorCode}); {_describe(true)}");
            }
            catch (ObjectDisposedException)
            {
                throw Broken($"QEMU was stopped before '{current}'");
            }
        }
    }

    private void Send(ReadOnlySpan<QTestCommand> commands)
    {
        Span<byte> bytes = stackalloc byte[512];
        int length = 0;
        foreach (QTestCommand command in commands)
        {
            length += Encoding.ASCII.GetBytes(command.Line, bytes[length..]);
            bytes[length++] = (byte)'\n';
        }

        for (int sent = 0; sent < length;)
        {
            sent += _socket.Send(bytes[sent..length]);
        }
    }

    // Whatever it says meanwhile, the answer is due when the time is over.
    private ulong Answer(QTestCommand command)
    {
        long since = Stopwatch.GetTimestamp();
        while (true)
        {
            string answer = ReadLine(command.Line, since);
            if (answer.StartsWith("IRQ", StringComparison.Ordinal))
            {
                continue;
            }

            if (!command.HasNumber && (answer == "OK" || answer.StartsWith("OK ", StringComparison.Ordinal)))
            {
                return 0;
            }

            ReadOnlySpan<char> digits = answer.AsSpan(answer.LastIndexOf(' ') + 1);
            return answer.StartsWith("OK ", StringComparison.Ordinal)
                && digits.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
                && ulong.TryParse(digits[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture,
                    out ulong value)
                ? value
                : throw Broken(Nonsense(command.Line, answer));
        }
    }

    // An answer that comes late would be taken for the next command's.
    private QemuException Broken(string message)
    {
        _broken ??= message;
        return new QemuException(message);
    }

    private string Nonsense(string command, string answer) =>
        $"QEMU answered '{answer}' to '{command}'; {_describe(false)}";

    private string Late(string command) => Text(
        $"QEMU did not answer '{command}' within {_patience.TotalSeconds} s; {_describe(false)}");

    private string ReadLine(string command, long since)
    {
        while (true)
        {
            int at = _buffer.AsSpan(_start, _end - _start).IndexOf((byte)'\n');
            if (at >= 0)
            {
                string line = Encoding.ASCII.GetString(_buffer, _start, at).TrimEnd('\r');
                _start += at + 1;
                return line;
            }

            if (_start > 0)
            {
                _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
                _end -= _start;
                _start = 0;
            }

            if (_end == _buffer.Length)
            {
                throw Broken($"QEMU answered a line of more than {LongestLine} bytes to '{command}'");
            }

            TimeSpan left = _patience - Stopwatch.GetElapsedTime(since);
            if (left <= TimeSpan.Zero)
            {
                throw Broken(Late(command));
            }

            // A system call, spared while what is set is right to a tenth.
            int milliseconds = Math.Max(1, (int)left.TotalMilliseconds);
            if (Math.Abs(milliseconds - _receiveTimeout) > milliseconds / 10)
            {
                _socket.ReceiveTimeout = _receiveTimeout = milliseconds;
            }

            int read = _socket.Receive(_buffer.AsSpan(_end));
            if (read == 0)
            {
                throw new SocketException((int)SocketError.ConnectionReset);
            }

            _end += read;
        }
    }
}
